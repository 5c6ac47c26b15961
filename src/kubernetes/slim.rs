//! What is kept of an object's metadata. Who owns each single field is the larger part of an object, and it is kept several times.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
use kube::{Resource, ResourceExt};
use rules::kinds::{HOLD, RELEASE};
use serde_json::{Value, json};

/// kubectl's own copy of the manifest.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Takes away what nobody here reads. Of the fields that a manager owns stays that the spec is among them, and the annotations
/// that are read as a declaration.
pub fn slim(object: &mut impl Resource) {
    object.annotations_mut().remove(LAST_APPLIED);
    for entry in object.managed_fields_mut() {
        entry.fields_v1 = owned(entry);
    }
}

/// The same, of an object on its way.
pub fn slimmed<K: Resource>(mut object: K) -> K {
    slim(&mut object);
    object
}

fn owned(entry: &ManagedFieldsEntry) -> Option<FieldsV1> {
    let all = &entry.fields_v1.as_ref()?.0;
    let mut kept = json!({});
    if all.get("f:spec").is_some() {
        kept["f:spec"] = json!({});
    }
    let annotations = all.pointer("/f:metadata/f:annotations").and_then(Value::as_object);
    for name in [HOLD, RELEASE].map(|name| format!("f:{name}")) {
        if annotations.is_some_and(|owned| owned.contains_key(&name)) {
            kept["f:metadata"]["f:annotations"][&name] = json!({});
        }
    }
    (kept != json!({})).then_some(FieldsV1(kept))
}

#[cfg(test)]
mod tests {
    use rules::inputs::Meta;
    use rules::kinds::DialerCampaignState;

    use super::*;
    use crate::audit::origin;

    #[test]
    fn who_changed_a_declaration_and_whether_its_hold_lasts_are_told_as_before_and_the_rest_is_gone() {
        for manager in ["kubectl-annotate", "by-hand"] {
            let entry = |manager: &str, time: &str, fields: Value| json!({"manager": manager, "operation": "Update", "time": time, "fieldsType": "FieldsV1", "fieldsV1": fields});
            let spec =
                json!({"f:spec": {"f:state": {}}, "f:metadata": {"f:labels": {".": {}, "f:team": {}}}});
            let note = json!({"f:metadata": {"f:annotations": {(format!("f:{HOLD}")): {}, "f:other": {}}}});
            let object: DialerCampaignState = serde_json::from_value(json!({
                "apiVersion": "dialer.cxone-operator.io/v1alpha1", "kind": "DialerCampaignState",
                "metadata": {
                    "name": "spring",
                    "labels": {"kustomize.toolkit.fluxcd.io/name": "campaigns"},
                    "annotations": {(HOLD): "bad list", "other": "kept", (LAST_APPLIED): "{}"},
                    "managedFields": [
                        entry("kustomize-controller", "2026-11-22T20:00:00Z", spec),
                        entry(manager, "2026-11-22T21:00:00Z", note),
                        entry("labeller", "2026-11-22T22:00:00Z", json!({"f:metadata": {"f:labels": {"f:x": {}}}})),
                    ]
                },
                "spec": {"campaignId": "c-7731", "state": "Running"}
            }))
            .unwrap();
            let slimmed = slimmed(object.clone());
            assert_eq!(json!(origin(&slimmed.metadata)), json!(origin(&object.metadata)));
            assert_eq!(origin(&slimmed.metadata).unwrap().manager.as_deref(), Some(manager));
            let fleeting = |object: &DialerCampaignState| Meta::of(object).hold_is_fleeting;
            assert_eq!(fleeting(&slimmed), fleeting(&object));
            assert_eq!(fleeting(&slimmed), manager.starts_with("kubectl"));
            assert_eq!(slimmed.annotations().len(), 2);
            let kept = json!(slimmed.managed_fields());
            assert!(
                !kept.to_string().contains("f:state") && !kept.to_string().contains("f:labels"),
                "{kept}"
            );
        }
    }
}
