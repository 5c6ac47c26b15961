//! Reads of a cluster, with the rights of who asks. Nothing here writes.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, anyhow};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use kube::core::DeserializeGuard;
use kube::{Api, Client, Error, Resource, ResourceExt};
use rules::kinds::{CXoneTenant, DialerCampaignState, DialingPolicy, PolicyRef};
use serde::de::DeserializeOwned;

use crate::kubernetes;

/// A person waits for the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// So many names of others are told where one is not found.
const NAMES_AT_MOST: usize = 20;

/// A cluster that is read.
pub struct Cluster {
    client: Client,
    /// The namespace of the kubeconfig's context.
    pub namespace: String,
}

/// Whether a policy could be decoded; which one could not, and why.
pub type MaybePolicy = std::result::Result<DialingPolicy, (PolicyRef, String)>;

impl Cluster {
    /// The cluster of the current kubeconfig, or of the pod.
    ///
    /// # Errors
    /// Where neither is to be had.
    pub async fn connect() -> Result<Self> {
        let mut config = kubernetes::cluster().await?;
        (config.connect_timeout, config.read_timeout) = (Some(PATIENCE), Some(PATIENCE));
        let namespace = config.default_namespace.clone();
        let client = Client::try_from(config)
            .map_err(|_| anyhow!("the cluster's address or credentials can't be used"))?;
        Ok(Self { client, namespace })
    }

    /// A campaign's declaration.
    ///
    /// # Errors
    /// Where the cluster does not answer, or refuses.
    pub async fn campaign(&self, namespace: &str, name: &str) -> Result<Option<DialerCampaignState>> {
        let api: Api<DialerCampaignState> = Api::namespaced(self.client.clone(), namespace);
        api.get_opt(name)
            .await
            .map_err(|error| self.explain::<DialerCampaignState>(error, "get", Some(namespace)))
    }

    /// A campaign's declaration that must be there.
    ///
    /// # Errors
    /// As [`Self::campaign`], and where there is none: then with the names that there are.
    pub async fn known_campaign(&self, namespace: &str, name: &str) -> Result<DialerCampaignState> {
        if let Some(found) = self.campaign(namespace, name).await? {
            return Ok(found);
        }
        let others = match self.campaigns(namespace).await {
            Ok(all) if all.is_empty() => ": there is none at all; is it another namespace (-n)?".to_owned(),
            Ok(all) => {
                let names: Vec<_> = all.iter().take(NAMES_AT_MOST).map(ResourceExt::name_any).collect();
                let more = if all.len() > NAMES_AT_MOST { ", ..." } else { "" };
                format!("; there are: {}{more}", names.join(", "))
            }
            Err(_) => String::new(),
        };
        Err(anyhow!("no DialerCampaignState {name} in namespace {namespace}{others}"))
    }

    /// Every campaign's declaration of a namespace; those that can't be decoded are left out.
    ///
    /// # Errors
    /// As [`Self::campaign`].
    pub async fn campaigns(&self, namespace: &str) -> Result<Vec<DialerCampaignState>> {
        self.list(Api::namespaced(self.client.clone(), namespace), Some(namespace)).await
    }

    /// The same of all namespaces.
    ///
    /// # Errors
    /// As [`Self::campaign`].
    pub async fn all_campaigns(&self) -> Result<Vec<DialerCampaignState>> {
        self.list(Api::all(self.client.clone()), None).await
    }

    async fn list(
        &self,
        api: Api<DeserializeGuard<DialerCampaignState>>,
        namespace: Option<&str>,
    ) -> Result<Vec<DialerCampaignState>> {
        let list = api.list(&ListParams::default()).await;
        let list = list.map_err(|error| self.explain::<DialerCampaignState>(error, "list", namespace))?;
        Ok(list.items.into_iter().filter_map(|item| item.0.ok()).collect())
    }

    /// A tenant.
    ///
    /// # Errors
    /// As [`Self::campaign`].
    pub async fn tenant(&self, namespace: &str, name: &str) -> Result<Option<CXoneTenant>> {
        let api: Api<CXoneTenant> = Api::namespaced(self.client.clone(), namespace);
        api.get_opt(name).await.map_err(|error| self.explain::<CXoneTenant>(error, "get", Some(namespace)))
    }

    /// Every policy.
    ///
    /// # Errors
    /// As [`Self::campaign`].
    pub async fn policies(&self) -> Result<Vec<MaybePolicy>> {
        let api: Api<DeserializeGuard<DialingPolicy>> = Api::all(self.client.clone());
        let list = api.list(&ListParams::default()).await;
        let list = list.map_err(|error| self.explain::<DialingPolicy>(error, "list", None))?;
        let bad = |error: kube::core::error_boundary::InvalidObject| {
            let name = error.metadata.name.unwrap_or_default();
            let why = format!("policy {name} can't be decoded: {}", error.error);
            (PolicyRef { name, generation: error.metadata.generation.unwrap_or_default() }, why)
        };
        Ok(list.items.into_iter().map(|item| item.0.map_err(bad)).collect())
    }

    /// The labels of a namespace; none where there is no such namespace.
    ///
    /// # Errors
    /// As [`Self::campaign`].
    pub async fn labels(&self, namespace: &str) -> Result<Option<BTreeMap<String, String>>> {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let found = api.get_metadata_opt(namespace).await;
        let found = found.map_err(|error| self.explain::<Namespace>(error, "get", None))?;
        Ok(found.map(|namespace| namespace.metadata.labels.unwrap_or_default()))
    }

    /// What a failure means for who asked.
    fn explain<K>(&self, error: Error, verb: &str, namespace: Option<&str>) -> anyhow::Error
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let resource = match K::group(&()) {
            group if group.is_empty() => K::plural(&()).into_owned(),
            group => format!("{}.{group}", K::plural(&())),
        };
        let place =
            namespace.map_or_else(|| "in the whole cluster".to_owned(), |n| format!("in namespace {n}"));
        match error {
            Error::Api(status) if status.code == 403 => {
                anyhow!("you may not read this: the right to {verb} {resource} {place} is needed")
            }
            Error::Api(status) if status.code == 401 => {
                anyhow!("the cluster does not accept your credentials (401)")
            }
            Error::Api(status) if status.code == 404 => {
                anyhow!(
                    "the cluster knows no {resource}: apply the CRDs (`dialer-operator crd | kubectl apply -f -`)"
                )
            }
            Error::Api(status) => {
                anyhow!("the cluster refuses to {verb} {resource} {place}: {}", status.message)
            }
            Error::SerdeError(error) => anyhow!("a {} can't be decoded: {error}", K::kind(&())),
            _ => anyhow!(
                "the cluster does not answer (to {verb} {resource}); check the address in your kubeconfig and the network"
            ),
        }
    }
}
