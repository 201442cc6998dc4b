//! Showing what a peer sent without showing what must stay secret, or what a terminal would obey.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

/// The longest peer text shown, in characters.
const LIMIT: usize = 200;
/// How many characters of hashes and nonces are shown.
const PREFIX: usize = 6;
/// Base64url text of this length or longer is taken for a key, hash, token or signature, wherever it stands.
const LONG_RUN: usize = 40;

/// Knows the secrets of one presentation, so that they are recognised in whatever place they come up.
#[derive(Default)]
pub(super) struct Shown<'a> {
    secrets: Vec<Cow<'a, str>>,
}

impl<'a> Shown<'a> {
    /// Hides `secret` from now on. What is too short to be one is ignored.
    pub(super) fn hide(&mut self, secret: impl Into<Cow<'a, str>>) {
        let secret = secret.into();
        if secret.len() >= 4 {
            self.secrets.push(secret);
        }
    }

    /// Peer text in quotes: escaped, cut, and hidden as a whole if it holds a secret.
    pub(super) fn peer(&self, text: &str) -> String {
        if self.secrets.iter().any(|secret| text.contains(&**secret)) {
            return String::from("(hidden: it holds a token, nonce, key or part of the proof)");
        }
        let mut out = String::from("\"");
        let mut length = 0_usize;
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if length >= LIMIT {
                out.push('…');
                break;
            }
            let run = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte)).count();
            if run >= LONG_RUN {
                out.extend(rest.chars().take(PREFIX));
                out.push('…');
                length = length.saturating_add(PREFIX);
                rest = rest.get(run..).unwrap_or_default();
                continue;
            }
            // A short run is passed in one step, so that the work stays proportional to the text.
            let step = run.max(first.len_utf8());
            let (head, tail) = rest.split_at_checked(step).unwrap_or((rest, ""));
            for character in head.chars().take(LIMIT.saturating_sub(length)) {
                length = length.saturating_add(escape(character, &mut out));
            }
            rest = tail;
        }
        out.push('"');
        out
    }

    /// A URI without query, fragment and user information.
    ///
    /// In a text that is no valid URI (`valid` is false) nobody knows where user information ends, so all before the
    /// last `@` goes.
    pub(super) fn uri(&self, text: &str, valid: bool) -> String {
        let text = bare(text);
        let after_user = |part: &str, end: usize| {
            let at = part.get(..end)?.rfind('@')?;
            part.get(at.saturating_add(1)..).map(String::from)
        };
        if !valid {
            return self.peer(&after_user(text, text.len()).unwrap_or_else(|| String::from(text)));
        }
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        match after_user(rest, rest.find('/').unwrap_or(rest.len())) {
            Some(shown) => self.peer(&alloc::format!("{scheme}://{shown}")),
            None => self.peer(text),
        }
    }

    /// The first characters of a hash or nonce, never more than half of it.
    pub(super) fn prefix(&self, text: &str) -> String {
        let count = PREFIX.min(text.chars().count() / 2);
        let start: String = text.chars().take(count).collect();
        if self.secrets.iter().any(|secret| !start.is_empty() && secret.starts_with(&start)) {
            return String::from("(hidden)");
        }
        self.start(&start)
    }

    /// As [`prefix`](Self::prefix), for a nonce, which is itself among the secrets.
    pub(super) fn nonce(&self, text: &str, token: Option<&str>) -> String {
        let count = PREFIX.min(text.chars().count() / 2);
        let start: String = text.chars().take(count).collect();
        if token.is_some_and(|token| !start.is_empty() && token.starts_with(&start)) {
            return String::from("(hidden)");
        }
        self.start(&start)
    }

    fn start(&self, start: &str) -> String {
        let mut out = String::from("\"");
        for character in start.chars() {
            escape(character, &mut out);
        }
        out.push_str("…\"");
        out
    }
}

/// `text` up to its query or fragment.
pub(super) fn bare(text: &str) -> &str {
    text.split(['?', '#']).next().unwrap_or_default()
}

/// Appends `character`, escaped if it is not printable ASCII; gives the number of characters that took.
fn escape(character: char, out: &mut String) -> usize {
    let before = out.len();
    match character {
        '"' | '\\' => {
            out.push('\\');
            out.push(character);
        }
        ' '..='~' => out.push(character),
        _ => out.extend(character.escape_unicode()),
    }
    out.len().saturating_sub(before)
}

#[cfg(test)]
mod tests {
    use super::Shown;
    use alloc::string::String;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(Shown::default().peer("a\u{1b}[31m\né\"\\"), r#""a\u{1b}[31m\u{a}\u{e9}\"\\""#);
    }

    #[test]
    fn long_text_is_cut() {
        let words: String = "word ".repeat(1000);
        assert_eq!(Shown::default().peer(&words).chars().count(), 203);
        let escapes: String = "\u{10ffff}".repeat(1000);
        assert!(Shown::default().peer(&escapes).chars().count() < 220);
    }

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        let mut shown = Shown::default();
        shown.hide("s3cret~token");
        assert!(!shown.peer("/path/s3cret~token/x").contains("s3cret"));
        assert!(!shown.prefix("s3cret~token").contains("s3cret"));
        let key = "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs";
        assert_eq!(shown.peer(key), "\"l8tFrh…\"");
        assert_eq!(shown.prefix(key), "\"l8tFrh…\"");
        assert_eq!(shown.prefix("abcd"), "\"ab…\"");
    }

    #[test]
    fn uris_lose_query_fragment_and_user() {
        let shown = Shown::default();
        assert_eq!(shown.uri("https://u:p@h.example/a@b?q=1#f", true), r#""https://h.example/a@b""#);
        assert_eq!(shown.uri("https://h.example/a@b", true), r#""https://h.example/a@b""#);
        for wrong in ["https://u:p/w@h/x", "u:pw@h/x", "https:u:pw@h", "https:\\\\u:pw@h", "pw@https://x", "//u:pw@h"] {
            let text = shown.uri(wrong, false);
            assert!(!text.contains('p') || !text.contains('w'), "{text}");
        }
    }
}
