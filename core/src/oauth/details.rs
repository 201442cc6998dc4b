//! `authorization_details` compared (RFC 9396).

use crate::json::Value;

/// Whether every one of the `granted` details permits nothing that is not among the `requested` ones.
///
/// Both are arrays of objects. A granted object lies within a requested one if it has the same members and each is the
/// same, an array with some of the requested elements, or an object within the requested one. A member that is left out
/// often permits more than one that is there, and one that was added cannot be judged: neither lies within the request.
pub fn within(granted: &Value, requested: &Value) -> bool {
    match (granted, requested) {
        (Value::Array(granted), Value::Array(requested)) => {
            granted.iter().all(|element| requested.iter().any(|wanted| within(element, wanted)))
        }
        (Value::Object(granted), Value::Object(requested)) => {
            let inside = |name: &str, value: &Value| {
                requested.iter().any(|(known, wanted)| known == name && within(value, wanted))
            };
            granted.len() == requested.len() && granted.iter().all(|(name, value)| inside(name, value))
        }
        _ => granted == requested,
    }
}

#[cfg(test)]
mod tests {
    use super::within;
    use crate::json::Value;

    #[test]
    fn a_grant_permits_no_more_than_was_asked() {
        let json = |text: &str| Value::parse(text.as_bytes()).unwrap();
        let requested = json(r#"[{"type":"pay","actions":["read","send"],"amount":{"eur":"10.00"}},{"type":"list"}]"#);
        for granted in [
            r#"[{"type":"pay","actions":["read","send"],"amount":{"eur":"10.00"}}]"#,
            r#"[{"amount":{"eur":"10.00"},"type":"pay","actions":["send"]},{"type":"list"}]"#,
            "[]",
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
}
