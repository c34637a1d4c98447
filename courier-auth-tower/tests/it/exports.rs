use courier_auth_tower::{Error, RedisCache, SharedCache, SharedCacheStatus, TokenProvider};

/// An app names the one feature that the guide `replicas` tells it to.
#[test]
fn a_cluster_takes_one_feature() -> Result<(), Error> {
    let cache = RedisCache::cluster(["redis://localhost"])?;
    assert!(cache.address().is_some());
    let provider = TokenProvider::builder("pk_0123456789")
        .shared_cache(cache)
        .build()?;
    let status: Option<SharedCacheStatus> = provider.status().shared_cache;
    assert!(status.is_some());
    Ok(())
}
