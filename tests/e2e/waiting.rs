//! Waiting for what an object says.

use std::fmt::Debug;
use std::time::Duration;

use kube::runtime::wait::await_condition;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use crate::stage::PATIENCE;

/// Waits until an object is as told, or is not there as told; an error says what was in the way.
pub async fn until_object<K>(
    api: &Api<K>,
    name: &str,
    holds: impl Fn(Option<&K>) -> bool,
) -> Result<Option<K>, String>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    until_object_within(PATIENCE, api, name, holds).await
}

/// The same, within that time.
pub async fn until_object_within<K>(
    patience: Duration,
    api: &Api<K>,
    name: &str,
    holds: impl Fn(Option<&K>) -> bool,
) -> Result<Option<K>, String>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut failure = None;
    let waiting = async {
        // A watch that fails ends the waiting. It fails where this process holds a connection that died while the API
        // server was frozen: that is no fact about the object, so the watch begins anew.
        loop {
            match await_condition(api.clone(), name, |object: Option<&K>| holds(object)).await {
                Ok(object) => return object,
                Err(error) => failure = Some(error),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let found = tokio::time::timeout(patience, waiting).await;
    found.map_err(|_| format!("not within {patience:?}; the last failure of the watch: {failure:?}"))
}
