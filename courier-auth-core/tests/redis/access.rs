//! Passwords, and a user of the server who may do no more than is needed.

use std::{collections::HashMap, time::Duration};

use courier_auth_core::{RedisCache, SharedCache};

use crate::{
    control::{ask, eventually},
    for_each_server,
    replica::{courier, finds, replica, token, users},
    server::{Kind, Server},
};

for_each_server!(
    a_password_is_used,
    the_rights_in_the_operators_guide_suffice,
);

async fn a_password_is_used(kind: Kind) {
    let courier = courier().await;
    let redis = Server::start(kind, &["--requirepass", "hunter2"]).await;
    let url = format!("redis://:hunter2@{}/", redis.address());
    let one = replica(&courier, &url);
    let written = async || {
        let keys = ::redis::Client::open(url.as_str()).unwrap();
        let mut keys = keys.get_multiplexed_async_connection().await.unwrap();
        !ask::<Vec<String>>(&mut keys, &["KEYS", "*"])
            .await
            .is_empty()
    };
    token(&courier, &one, "user-0").await;
    eventually(written).await;
    finds(&courier, || replica(&courier, &url), &users("user", 1)).await;
}

async fn the_rights_in_the_operators_guide_suffice(kind: Kind) {
    let redis = Server::start(kind, &[]).await;
    let mut admin = redis.connect().await;
    let mut rule = vec!["ACL", "SETUSER", "courier", "on", ">hunter2"];
    rule.extend(RIGHTS);
    let _ok: String = ask(&mut admin, &rule).await;
    let url = format!("redis://courier:hunter2@{}/", redis.address());
    let cache = RedisCache::new(&url).unwrap();
    let ttl = Duration::from_secs(60);
    cache.set("key", b"value", ttl).await.unwrap();
    assert_eq!(cache.get("key").await.unwrap().unwrap(), b"value");
    let left = cache.ttl("key").await.unwrap().unwrap();
    assert!(!left.is_zero() && left <= ttl, "{left:?}");
    assert_eq!(cache.ttl("nothing").await.unwrap(), Some(Duration::ZERO));
    cache.delete("key").await.unwrap();
    assert!(cache.try_lock("lock", "owner", ttl).await.unwrap());
    cache.unlock("lock", "owner").await.unwrap();
    assert_eq!(redis.keys().await, <[String; 0]>::default());
    let _ok: String = ask(&mut admin, &["SCRIPT", "FLUSH"]).await;
    assert!(cache.try_lock("lock", "owner", ttl).await.unwrap());
    cache.unlock("lock", "owner").await.unwrap();
    assert_eq!(redis.keys().await, <[String; 0]>::default());
    // It tells the server its name and version, which it need not be allowed to.
    let refused: Vec<HashMap<String, ::redis::Value>> = ask(&mut admin, &["ACL", "LOG"]).await;
    for entry in refused {
        assert_eq!(
            entry["object"],
            ::redis::Value::BulkString(b"client|setinfo".to_vec())
        );
    }
}

/// As the operator's guide has them.
const RIGHTS: [&str; 7] = [
    "~courier-auth:*",
    "+get",
    "+getrange",
    "+pttl",
    "+set",
    "+del",
    "+eval",
];
