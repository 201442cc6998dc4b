//! `authorization_details` compared (RFC 9396).

use alloc::vec::Vec;

use crate::json::Value;

/// Whether every one of the `granted` details permits nothing that is not among the `requested` ones.
///
/// Both are arrays of objects. A granted object lies within a requested one if it has the same members and each is the
/// same, an array with some of the requested elements, or an object within the requested one. A member that is left out
/// often permits more than one that is there, one that was added cannot be judged, and an empty array means "all" to many a
/// resource: none of them lies within the request. Each requested element is good for one granted one, so that nothing is granted
/// twice that was asked for once.
pub fn within(granted: &Value, requested: &Value) -> bool {
    match (granted, requested) {
        (Value::Array(_), Value::Array(_)) => is_part(granted, requested),
        _ => false,
    }
}

fn is_part(granted: &Value, requested: &Value) -> bool {
    match (granted, requested) {
        (Value::Array(granted), Value::Array(requested)) => {
            granted.is_empty() == requested.is_empty() && are_among(granted, requested)
        }
        (Value::Object(granted), Value::Object(requested)) => {
            let inside = |name: &str, value: &Value| {
                requested.iter().any(|(known, wanted)| known == name && is_part(value, wanted))
            };
            granted.len() == requested.len() && granted.iter().all(|(name, value)| inside(name, value))
        }
        _ => granted == requested,
    }
}

/// Whether each granted element lies within a requested one of its own. Equal ones are matched first; each of the others
/// takes one that is left, so that an unusual mixture may be refused, but never too much is let through.
fn are_among(granted: &[Value], requested: &[Value]) -> bool {
    let mut left: Vec<&Value> = requested.iter().collect();
    let mut take = |fits: &dyn Fn(&Value) -> bool| {
        let found = left.iter().position(|wanted| fits(wanted));
        found.map(|at| left.swap_remove(at)).is_some()
    };
    let narrower: Vec<&Value> = granted.iter().filter(|element| !take(&|wanted| wanted == *element)).collect();
    narrower.into_iter().all(|element| take(&|wanted| is_part(element, wanted)))
}

#[cfg(test)]
mod tests {
    use super::within;
    use crate::json::Value;

    fn json(text: &str) -> Value {
        Value::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_grant_permits_no_more_than_was_asked() {
        let requested = json(r#"[{"type":"pay","actions":["read","send"],"amount":{"eur":"10.00"}},{"type":"list"}]"#);
        for granted in [
            r#"[{"type":"pay","actions":["read","send"],"amount":{"eur":"10.00"}}]"#,
            r#"[{"amount":{"eur":"10.00"},"type":"pay","actions":["send"]},{"type":"list"}]"#,
            r#"[{"type":"list"},{"type":"pay","actions":["send","read"],"amount":{"eur":"10.00"}}]"#,
        ] {
            assert!(within(&json(granted), &requested), "{granted}");
        }
        for granted in [
            r#"[{"type":"pay","actions":["send"],"amount":{"eur":"100.00"}}]"#,
            r#"[{"type":"pay","actions":["send","admin"],"amount":{"eur":"10.00"}}]"#,
            r#"[{"type":"pay","actions":["send"]}]"#,
            r#"[{"type":"list","locations":["https://api.example"]}]"#,
            r#"[{"type":"other"}]"#,
            r#"{"type":"list"}"#,
            r#"["list"]"#,
        ] {
            assert!(!within(&json(granted), &requested), "{granted}");
        }
    }

    #[test]
    fn nothing_everything_and_twice_are_not_within() {
        let requested = json(r#"[{"type":"pay","locations":["https://a.example"],"actions":["read","send"]}]"#);
        for granted in [
            "[]",
            r#"[{"type":"pay","locations":[],"actions":["read","send"]}]"#,
            r#"[{"type":"pay","locations":["https://a.example"],"actions":[]}]"#,
            r#"[{"type":"pay","locations":["https://a.example"],"actions":["send","send"]}]"#,
            r#"[{"type":"pay","locations":["https://a.example"],"actions":["send"]},{"type":"pay","locations":["https://a.example"],"actions":["send"]}]"#,
        ] {
            assert!(!within(&json(granted), &requested), "{granted}");
        }
        assert!(!within(&json("null"), &json("null")));
        // What was asked for twice may be granted twice, and what was left open stays open.
        let twice = json(r#"[{"type":"pay","to":[]},{"type":"pay","to":[]}]"#);
        assert!(within(&twice, &twice));
        assert!(!within(&json(r#"[{"type":"pay","to":["bob"]}]"#), &twice));
    }
}
