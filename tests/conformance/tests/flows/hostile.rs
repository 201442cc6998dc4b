//! Servers that answer nonsense: flows end with an error or go on, and never panic.

use keybound_conformance::flow::play_changed;
use keybound_conformance::flow::story::folder;
use serde_json::{Value, json};

/// A small generator whose numbers are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap_or_default() % limit
    }

    fn choose<'c, T>(&mut self, choices: &'c [T]) -> &'c T {
        &choices[self.below(choices.len())]
    }
}

const STATUSES: [u16; 14] = [0, 100, 101, 200, 201, 204, 301, 303, 307, 400, 401, 403, 500, 999];
const NAMES: [&str; 8] =
    ["dpop-nonce", "www-authenticate", "location", "date", "age", "content-type", "DPoP-Nonce", "x"];
const VALUES: [&str; 16] = [
    "",
    " ",
    "\u{0}",
    "a",
    "DPoP error=\"use_dpop_nonce\"",
    "DPoP error=\"invalid_token\"",
    "DPoP error=\"invalid_dpop_proof\"",
    "Bearer error=\"insufficient_scope\", scope=\"\"",
    "DPoP ,,,\"",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "https://api.example.com/mcp/x",
    "//",
    "http://[::1",
    "/mcp/../..",
    "\u{fffd}\u{fffd}",
];
const PIECES: [&str; 14] = [
    "null",
    "[]",
    "{}",
    "\"\"",
    "-1",
    "1e999",
    "18446744073709551616",
    "true",
    "\"\\u0000\"",
    "\"http://x\"",
    "[null]",
    "{\"a\":{}}",
    "\"\\ud800\"",
    "9007199254740993",
];

/// One change to one answer.
fn change(answer: &mut Value, numbers: &mut Numbers) {
    if answer.is_string() {
        // It was not sent; now its answer is lost.
        *answer = Value::Null;
    }
    match numbers.below(6) {
        0 => answer["status"] = json!(numbers.choose(&STATUSES)),
        1 => {
            let (name, value) = (*numbers.choose(&NAMES), *numbers.choose(&VALUES));
            answer["fields"][name] = json!(value);
        }
        2 => *answer = Value::Null,
        3 => {
            // A body cut or damaged at some place.
            let mut text: Vec<char> = answer["body"].to_string().chars().collect();
            let at = numbers.below(text.len());
            if numbers.below(2) == 0 {
                text.truncate(at)
            } else {
                text[at] = *numbers.choose(&['"', '{', '}', '\\', '\u{0}', 'é'])
            }
            answer["body"] = Value::String(text.into_iter().collect());
        }
        _ => {
            // A member with another value, or without one.
            let Some(members) = answer["body"].as_object_mut() else { return };
            let names: Vec<String> = members.keys().cloned().collect();
            let Some(name) = names.get(numbers.below(names.len().max(1))) else { return };
            match serde_json::from_str::<Value>(PIECES[numbers.below(PIECES.len())]) {
                Ok(value) => drop(members.insert(name.clone(), value)),
                Err(_) => drop(members.remove(name)),
            }
        }
    }
}

#[test]
fn nonsense_ends_a_flow_and_nothing_else() {
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    let mut played = 0;
    for entry in std::fs::read_dir(folder()).expect("the vectors") {
        let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("a file");
        let vector: Value = serde_json::from_str(&text).expect("JSON");
        for _ in 0..40 {
            let mut vector = vector.clone();
            for _ in 0..=numbers.below(3) {
                let mut answers: Vec<&mut Value> = vector["flow"]
                    .as_array_mut()
                    .expect("a flow")
                    .iter_mut()
                    .flat_map(|part| part["steps"].as_array_mut().expect("steps"))
                    .filter(|step| step["step"] == "fetch")
                    .map(|step| &mut step["answer"])
                    .collect();
                let at = numbers.below(answers.len());
                change(answers[at], &mut numbers);
            }
            play_changed(&vector);
            played += 1;
        }
    }
    assert!(played >= 1_000, "{played}");
}
