//! The kinds of the group `dialer.cxone-operator.io`, and the manifests that teach them to an API server.

mod campaign;
mod policy;
mod scalars;
mod sink;
mod status;
mod tenant;

pub use campaign::*;
pub use policy::*;
pub use scalars::*;
pub use sink::*;
pub use status::*;
pub use tenant::*;

use kube::CustomResourceExt;
use serde_json::Value;

/// Annotation: present = the campaign may not run; its value is the reason that is shown. Never set by the operator.
pub const HOLD: &str = "dialer.cxone-operator.io/hold";
/// Annotation: a new value ends an external pause.
pub const RELEASE: &str = "dialer.cxone-operator.io/release";
/// Annotation: a new value asks for a look at once.
pub const RECONCILE: &str = "reconcile.dialer.cxone-operator.io/requestedAt";
/// The finalizer that stands while deleting the declaration must pause the campaign first.
pub const FINALIZER: &str = "dialer.cxone-operator.io/pause";

/// The CustomResourceDefinitions, as they are applied, by file name.
///
/// # Errors
/// Where a definition can't be put as JSON, which would be a defect of this crate.
pub fn definitions() -> Result<Vec<(String, Value)>, serde_json::Error> {
    [DialerCampaignState::crd(), CXoneTenant::crd(), DialingPolicy::crd()]
        .into_iter()
        .map(|crd| {
            let name = format!("{}.yaml", crd.spec.names.plural);
            let mut value = serde_json::to_value(crd)?;
            strip_nullable(&mut value);
            Ok((name, value))
        })
        .collect()
}

/// `nullable` would let `status` become null, and its default would not come back.
fn strip_nullable(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.remove("nullable");
            map.values_mut().for_each(strip_nullable);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_nullable),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_hold_no_nullable_no_unsigned_format_and_no_alternatives() {
        let text = serde_json::to_string(&definitions().unwrap()).unwrap();
        for word in ["nullable", "uint", "oneOf", "anyOf"] {
            assert!(!text.contains(word), "{word}");
        }
    }
}
