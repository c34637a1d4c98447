//! TLS, with a certificate authority of one's own. Only Redis: the Valkey that can be installed
//! from a package registry is built without.

use std::{fs, path::PathBuf, time::Duration};

use courier_auth_core::RedisCache;
use tokio::time::sleep;

use crate::{
    certificate::Certificate,
    control::eventually,
    faults::is_endured,
    replica::{counts, courier, sharing, token},
    server::{Kind, Server},
};

#[tokio::test]
async fn tokens_are_shared_over_tls() {
    if !Kind::Redis.is_there() {
        return;
    }
    let files = Files::new();
    let [authority, certificate, key] =
        ["authority", "certificate", "key"].map(|name| files.path(name));
    let settings = [
        ["--port", "0"],
        ["--tls-port", "{port}"],
        ["--tls-auth-clients", "no"],
        ["--tls-ca-cert-file", &authority],
        ["--tls-cert-file", &certificate],
        ["--tls-key-file", &key],
    ];
    let redis = Server::start(Kind::Redis, settings.as_flattened()).await;
    let courier = courier().await;
    let url = format!("rediss://localhost:{}/", redis.port());
    let trusting = || {
        let cache = RedisCache::new(&url).unwrap();
        let cache = cache.only_root_certificate_pem(fs::read(&authority).unwrap());
        sharing(&courier, cache.unwrap())
    };
    // A handshake takes longer than a user waits, so the first ones may go without.
    let (one, two, mut user) = (trusting(), trusting(), 0);
    eventually(async || {
        user += 1;
        let user = format!("user-{user}");
        token(&courier, &one, &user).await;
        sleep(Duration::from_millis(50)).await;
        token(&courier, &two, &user).await;
        counts(&two).hits > 0
    })
    .await;

    let strangers = sharing(&courier, RedisCache::new(&url).unwrap());
    is_endured(&courier, &strangers).await;
    let plain = format!("redis://localhost:{}/", redis.port());
    is_endured(
        &courier,
        &sharing(&courier, RedisCache::new(plain).unwrap()),
    )
    .await;
}

/// Certificates on the disk, where the server wants them.
struct Files(PathBuf);

impl Files {
    fn new() -> Self {
        let directory =
            std::env::temp_dir().join(format!("courier-auth-tls-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let certificate = Certificate::new();
        let (chain, key) = certificate.pem();
        fs::write(directory.join("authority"), certificate.authority()).unwrap();
        fs::write(directory.join("certificate"), chain).unwrap();
        fs::write(directory.join("key"), key).unwrap();
        Self(directory)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _removed = fs::remove_dir_all(&self.0);
    }
}
