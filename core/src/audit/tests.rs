//! Records as text.

use alloc::string::ToString as _;
use core::time::Duration;

use super::{Audit, AuditKey, AuditKeyError, AuditRecord, Facts, MAX_TEXT, Occasion, Operation, Verdict};
use crate::{Refusal, Thumbprint, UnixTime};

const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

#[test]
fn a_record_is_one_line_with_every_member() {
    let thumbprint = Thumbprint::from_bytes([7; 32]);
    let mut facts = Facts::of_token(Some("app"), Some([9; 32]));
    facts.add_proof(thumbprint, NOW.saturating_sub(2), NOW);
    let occasion = Occasion {
        route: Some("/items/{id}"),
        latency: Some(Duration::from_micros(412)),
        ..Occasion::new(Operation::Admission, NOW)
    };
    assert_eq!(
        AuditRecord::admitted(&occasion, Some(&facts)).to_json(),
        alloc::format!(
            r#"{{"time":1700000000,"what":"admission","route":"/items/{{id}}","verdict":"admitted","reason":null,"thumbprint":"{thumbprint}","client":"app","token":"CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk","latency_us":412}}"#
        )
    );
    assert_eq!(
        AuditRecord::refused(&Occasion::new(Operation::Grant, NOW), &Refusal::undecided()).to_json(),
        r#"{"time":1700000000,"what":"grant","route":null,"verdict":"undecided","reason":"undecided","thumbprint":null,"client":null,"token":null,"latency_us":null}"#
    );
    assert_eq!(facts.clock_offset(), Some(-2));
}

#[test]
fn texts_are_escaped_and_cut() {
    let client = |name: &str| {
        let facts = Facts::of_token(Some(name), None);
        AuditRecord::admitted(&Occasion::new(Operation::Admission, NOW), Some(&facts)).to_json()
    };
    let line = client("a\r\nb\u{202e}c\u{7f}\"d\\e");
    assert!(line.contains(r#""client":"a\\u{d}\\u{a}b\\u{202e}c\\u{7f}\"d\\u{5c}e""#), "{line}");
    assert!(line.is_ascii() && !line.contains('\n'), "{line}");
    let long = client(&"x".repeat(10_000));
    assert!(long.contains(&["\"", &"x".repeat(MAX_TEXT), "...\""].concat()) && long.len() < 400, "{long}");
}

#[test]
fn what_anyone_can_cause_is_not_vital() {
    let record = |verdict, reason| AuditRecord { verdict, reason, ..admitted() };
    for (verdict, reason, vital) in [
        (Verdict::Admitted, None, true),
        (Verdict::Refused, Some("replayed"), true),
        (Verdict::Refused, Some("binding_mismatch"), true),
        (Verdict::Refused, Some("intent_used"), true),
        (Verdict::Refused, Some("signature_invalid"), false),
        (Verdict::Challenged, Some("nonce_missing"), false),
        (Verdict::Undecided, Some("store_full"), false),
    ] {
        assert_eq!(record(verdict, reason).is_vital(), vital, "{reason:?}");
    }
}

fn admitted() -> AuditRecord {
    AuditRecord::admitted(&Occasion::new(Operation::Admission, NOW), None)
}

#[test]
fn a_key_is_32_bytes_and_is_not_shown() {
    assert_eq!(AuditKey::from_secret(&[0; 32]).unwrap_err(), AuditKeyError);
    assert_eq!(AuditKey::from_secret(&[1; 31]).unwrap_err(), AuditKeyError);
    let audit = Audit::with_key(AuditKey::from_secret(&[0xab; 32]).unwrap());
    assert_eq!(alloc::format!("{audit:?}"), "Audit(Some(AuditKey))");
    assert!(AuditKeyError.to_string().contains("32 bytes"));
}
