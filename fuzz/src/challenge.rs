//! `challenge`: what is read from `WWW-Authenticate` fields is written so that it reads the same.

use keybound::http::challenge::{Challenge, MAX_FIELDS_LEN};

/// One field for each line of the input.
pub fn challenge(data: &[u8]) {
    let fields: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    let challenges = Challenge::parse_fields(&fields).list;

    let written: Vec<Vec<u8>> = challenges.iter().map(write).collect();
    for (challenge, field) in challenges.iter().zip(&written) {
        check_names(challenge);
        if field.len() <= MAX_FIELDS_LEN {
            assert_eq!(whole(&[field]), std::slice::from_ref(challenge), "alone");
        }
    }
    let total: usize = written.iter().map(|field| field.len() + 2).sum();
    if total <= MAX_FIELDS_LEN {
        let several: Vec<&[u8]> = written.iter().map(Vec::as_slice).collect();
        assert_eq!(whole(&several), challenges, "in several fields");
        assert_eq!(whole(&[&written.join(&b", "[..])]), challenges, "in one field");
    }
}

/// What was written, of which no line is ignored.
fn whole(fields: &[&[u8]]) -> Vec<Challenge> {
    let read = Challenge::parse_fields(fields);
    assert_eq!(read.ignored, None);
    read.list
}

/// The field's bytes: what was read as Latin-1 is written as Latin-1.
fn write(challenge: &Challenge) -> Vec<u8> {
    challenge.to_string().chars().map(|character| u8::try_from(character).expect("Latin-1")).collect()
}

fn check_names(challenge: &Challenge) {
    assert!(challenge.is(&challenge.scheme().to_ascii_uppercase()));
    assert!(challenge.token68().is_none() || challenge.params().count() == 0, "both a token68 and parameters");
    for (name, value) in challenge.params() {
        assert_eq!(challenge.param(&name.to_ascii_uppercase()), Some(value), "found by its name in any case");
        assert!(!value.contains(['\r', '\n', '\0']), "a value that would end the field");
    }
    assert!(challenge.algs().all(|name| !name.is_empty() && !name.contains(' ')));
}
