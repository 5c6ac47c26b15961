//! What Flux makes of a hold.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};

use crate::kinds::HOLD;

/// The label of what a Kustomization of Flux applies.
const APPLIED: &str = "kustomize.toolkit.fluxcd.io/name";
/// How it is told to leave alone what others have set, and by which values.
const LET_BE: [(&str, &[&str]); 2] = [
    ("kustomize.toolkit.fluxcd.io/ssa", &["Merge", "IfNotPresent", "Ignore"]),
    ("kustomize.toolkit.fluxcd.io/reconcile", &["disabled"]),
];
/// Flux takes over what managers have added whose names begin like this, and removes what is not in git.
const TAKEN_OVER: &str = "kubectl";

/// Whether the hold on this object lasts only until Flux applies it again: kubectl alone has signed it.
pub(crate) fn takes_hold_back(meta: &ObjectMeta) -> bool {
    let applied = meta.labels.as_ref().is_some_and(|labels| labels.contains_key(APPLIED));
    let annotation = |key: &str| meta.annotations.as_ref().and_then(|all| all.get(key));
    let lets_be =
        LET_BE.iter().any(|(key, values)| annotation(key).is_some_and(|is| values.contains(&is.as_str())));
    let mut signed = meta.managed_fields.iter().flatten().filter(|entry| holds(entry)).peekable();
    let by_kubectl =
        |entry: &ManagedFieldsEntry| entry.manager.as_ref().is_some_and(|name| name.starts_with(TAKEN_OVER));
    applied && !lets_be && signed.peek().is_some() && signed.all(by_kubectl)
}

fn holds(entry: &ManagedFieldsEntry) -> bool {
    let owned = entry.fields_v1.as_ref().and_then(|fields| fields.0.pointer("/f:metadata/f:annotations"));
    owned.is_some_and(|annotations| annotations.get(format!("f:{HOLD}")).is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// An object with a hold that these managers have signed.
    fn held(managers: &[&str], labels: Value, annotations: Value) -> ObjectMeta {
        let fields = json!({"f:metadata": {"f:annotations": {(format!("f:{HOLD}")): {}}}});
        let entry = |name: &&str| json!({"manager": name, "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": fields});
        let entries: Vec<_> = managers.iter().map(entry).collect();
        let meta = json!({"labels": labels, "annotations": annotations, "managedFields": entries});
        serde_json::from_value(meta).unwrap()
    }

    fn by_flux() -> Value {
        json!({(APPLIED): "dialer-campaigns"})
    }

    #[test]
    fn flux_takes_a_hold_back_that_kubectl_alone_has_signed() {
        assert!(takes_hold_back(&held(&["kubectl-annotate"], by_flux(), json!({}))));
        assert!(takes_hold_back(&held(&["kubectl-annotate", "kubectl-edit"], by_flux(), json!({}))));
    }

    #[test]
    fn a_hold_stays_that_another_has_signed_or_where_flux_does_not_apply_or_is_told_to_let_it_be() {
        assert!(!takes_hold_back(&held(&["by-hand"], by_flux(), json!({}))));
        assert!(!takes_hold_back(&held(&["kubectl-annotate", "by-hand"], by_flux(), json!({}))));
        assert!(!takes_hold_back(&held(&["kubectl-annotate"], json!({}), json!({}))));
        for (key, values) in LET_BE {
            for value in values {
                assert!(
                    !takes_hold_back(&held(&["kubectl-annotate"], by_flux(), json!({(key): value}))),
                    "{key}: {value}"
                );
            }
        }
        assert!(takes_hold_back(&held(&["kubectl-annotate"], by_flux(), json!({(LET_BE[0].0): "Override"}))));
        assert!(!takes_hold_back(&held(&[], by_flux(), json!({}))), "nobody is known to have signed it");
    }
}
