//! Who changed a declaration, as its metadata tells.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use rules::kinds::{HOLD, RELEASE};
use rules::text::clean;
use serde::Serialize;

/// No text of it is longer.
const MAX_LENGTH: usize = 256;

const ARGO_TRACKING: &str = "argocd.argoproj.io/tracking-id";
const ARGO_INSTANCE: &str = "app.kubernetes.io/instance";
/// What Flux labels by, and what it calls that.
const FLUX: [(&str, &str); 2] =
    [("kustomize.toolkit.fluxcd.io", "Kustomization"), ("helm.toolkit.fluxcd.io", "HelmRelease")];

/// Who changed a declaration last, and what brings it to the cluster. Whoever may write an object may write this too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// The field manager that changed the spec, the hold or the release last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manager: Option<String>,
    /// How: `Apply` or `Update`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// What Argo CD tracks it by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argo: Option<String>,
    /// What Flux made it from: `Kustomization NAMESPACE/NAME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flux: Option<String>,
}

/// Who changed the declaration of this object last; nothing where its metadata does not tell.
pub fn origin(meta: &ObjectMeta) -> Option<Origin> {
    let last =
        meta.managed_fields.iter().flatten().filter(|entry| declares(entry)).max_by_key(|entry| at(entry));
    let origin = Origin {
        manager: last.and_then(|entry| entry.manager.as_deref()).map(cut),
        operation: last.and_then(|entry| entry.operation.as_deref()).map(cut),
        at: last.and_then(at),
        argo: argo(meta),
        flux: flux(meta),
    };
    (origin != Origin::default()).then_some(origin)
}

/// Whether what it owns is read as a declaration: the spec, or an annotation such as the hold.
fn declares(entry: &ManagedFieldsEntry) -> bool {
    let of_the_object = entry.subresource.as_deref().unwrap_or_default().is_empty();
    let Some(fields) = entry.fields_v1.as_ref().filter(|_| of_the_object) else { return false };
    let annotations = fields.0.pointer("/f:metadata/f:annotations");
    let annotates = |key: &str| annotations.is_some_and(|owned| owned.get(format!("f:{key}")).is_some());
    fields.0.get("f:spec").is_some() || annotates(HOLD) || annotates(RELEASE)
}

fn at(entry: &ManagedFieldsEntry) -> Option<Timestamp> {
    entry.time.as_ref().map(|time| time.0)
}

fn argo(meta: &ObjectMeta) -> Option<String> {
    let tracking = meta.annotations.as_ref().and_then(|annotations| annotations.get(ARGO_TRACKING));
    tracking.map(String::as_str).or_else(|| label(meta, ARGO_INSTANCE)).map(cut)
}

fn flux(meta: &ObjectMeta) -> Option<String> {
    FLUX.iter().find_map(|(domain, kind)| {
        let name = label(meta, &format!("{domain}/name"))?;
        let namespace = label(meta, &format!("{domain}/namespace"))?;
        Some(cut(&format!("{kind} {namespace}/{name}")))
    })
}

fn label<'a>(meta: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    meta.labels.as_ref()?.get(key).map(String::as_str)
}

fn cut(text: &str) -> String {
    clean(text).chars().take(MAX_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(meta: Value) -> Value {
        json!(origin(&serde_json::from_value(meta).unwrap()))
    }

    fn entry(manager: &str, operation: &str, time: &str, fields: Value) -> Value {
        json!({"manager": manager, "operation": operation, "time": time, "fieldsV1": fields})
    }

    #[test]
    fn the_newest_manager_of_the_spec_is_told_and_never_who_writes_status() {
        let mut status = entry("dialer-operator", "Apply", "2026-11-22T23:00:00Z", json!({"f:spec": {}}));
        status["subresource"] = json!("status");
        let entries = json!([
            entry("kubectl-create", "Update", "2026-11-22T20:00:00Z", json!({"f:spec": {"f:state": {}}})),
            entry("argocd-controller", "Apply", "2026-11-22T21:00:00Z", json!({"f:spec": {"f:state": {}}})),
            entry("labeller", "Update", "2026-11-22T22:00:00Z", json!({"f:metadata": {}})),
            status,
        ]);
        assert_eq!(
            told(json!({"managedFields": entries})),
            json!({"manager": "argocd-controller", "operation": "Apply", "at": "2026-11-22T21:00:00Z"})
        );
        assert_eq!(told(json!({})), Value::Null);
    }

    #[test]
    fn argo_and_flux_are_told_by_their_tracking_and_no_text_is_long() {
        let tracking = "app:dialer.cxone-operator.io/DialerCampaignState:sales/spring";
        let argo =
            told(json!({"annotations": {ARGO_TRACKING: tracking}, "labels": {ARGO_INSTANCE: "other"}}));
        assert_eq!(argo, json!({"argo": tracking}));
        assert_eq!(told(json!({"labels": {ARGO_INSTANCE: "app"}})), json!({"argo": "app"}));
        let flux = |domain: &str| {
            told(
                json!({"labels": {format!("{domain}/name"): "floor", format!("{domain}/namespace"): "flux"}}),
            )
        };
        assert_eq!(flux("kustomize.toolkit.fluxcd.io"), json!({"flux": "Kustomization flux/floor"}));
        assert_eq!(flux("helm.toolkit.fluxcd.io"), json!({"flux": "HelmRelease flux/floor"}));
        let steering = told(json!({"annotations": {ARGO_TRACKING: "a\u{1b}[2J\nb\u{9b}\u{202e}c"}}));
        assert_eq!(steering, json!({"argo": "a [2J b  c"}));
        let long = told(json!({"annotations": {ARGO_TRACKING: "é".repeat(5000)}}));
        assert_eq!(long["argo"].as_str().unwrap().chars().count(), MAX_LENGTH);
    }
}
