//! Names of options in messages, in the spelling of the language that shows the message.

use alloc::string::String;

/// How a language writes the names of options and methods.
///
/// Messages of this library hold such a name between backticks, as a Rust program writes it: "name its origin with `also_origin`". A
/// program in Rust shows the message as it is; every other host shows it [`spelled`](Self::spelled). Text that comes from a peer or a host
/// has no backticks in it.
///
/// ```
/// use keybound::Spelling;
///
/// let message = "name its origin with `also_origin` if it is meant";
/// assert_eq!(Spelling::Snake.spelled(message), "name its origin with also_origins if it is meant");
/// assert_eq!(Spelling::Camel.spelled(message), "name its origin with alsoOrigins if it is meant");
/// assert_eq!(Spelling::Switch.spelled(message), "name its origin with --also-origin if it is meant");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Spelling {
    /// `also_origins`, as in Python.
    Snake,
    /// `alsoOrigins`, as in JavaScript, Swift and Kotlin.
    Camel,
    /// `--also-origin`, as on a command line.
    Switch,
}

/// Options that a builder in Rust and a command line take one by one, and other languages as a list.
const LISTS: [&str; 2] = ["also_origin", "accept_issuer"];

impl Spelling {
    /// The message with every name between backticks in this spelling, and without the backticks.
    pub fn spelled(self, message: &str) -> String {
        let mut text = String::with_capacity(message.len());
        let mut rest = message;
        while let Some((before, marked)) = rest.split_once('`') {
            text.push_str(before);
            match marked.split_once('`').filter(|(name, _)| is_name(name)) {
                Some((name, after)) => {
                    self.spell(name, &mut text);
                    rest = after;
                }
                None => {
                    text.push('`');
                    rest = marked;
                }
            }
        }
        text.push_str(rest);
        text
    }

    /// One name, without backticks.
    pub fn name(self, name: &str) -> String {
        let mut text = String::new();
        self.spell(name, &mut text);
        text
    }

    fn spell(self, name: &str, text: &mut String) {
        if self == Self::Switch {
            text.push_str("--");
        }
        let mut raised = false;
        for character in name.chars() {
            match (self, character) {
                (Self::Camel, '_') => raised = true,
                (Self::Switch, '_') => text.push('-'),
                (_, character) => {
                    text.push(if raised { character.to_ascii_uppercase() } else { character });
                    raised = false;
                }
            }
        }
        if self != Self::Switch && LISTS.contains(&name) {
            text.push('s');
        }
    }
}

/// A text of a peer or a host as part of a message: no name is to be found in it.
#[cfg(any(test, all(feature = "dpop", feature = "oauth")))]
pub(crate) fn foreign(text: &str) -> String {
    text.replace('`', "'")
}

fn is_name(text: &str) -> bool {
    text.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::{Spelling, foreign};

    #[test]
    fn names_are_spelled_and_nothing_else_is_changed() {
        for (message, snake, camel, switch) in [
            ("set `allow_loopback`", "set allow_loopback", "set allowLoopback", "set --allow-loopback"),
            ("`max_age`; `jti`", "max_age; jti", "maxAge; jti", "--max-age; --jti"),
            ("name `also_origin`", "name also_origins", "name alsoOrigins", "name --also-origin"),
            // In some places it is one, in others one of a list: the message says which.
            ("`issuer` is missing", "issuer is missing", "issuer is missing", "--issuer is missing"),
            // What JavaScript's redirectURI became on its way here.
            (
                "no option `redirect_u_r_i`",
                "no option redirect_u_r_i",
                "no option redirectURI",
                "no option --redirect-u-r-i",
            ),
            ("a client_secret", "a client_secret", "a client_secret", "a client_secret"),
            ("`No name` and one `", "`No name` and one `", "`No name` and one `", "`No name` and one `"),
            ("", "", "", ""),
        ] {
            assert_eq!(Spelling::Snake.spelled(message), snake);
            assert_eq!(Spelling::Camel.spelled(message), camel);
            assert_eq!(Spelling::Switch.spelled(message), switch);
        }
        assert_eq!(Spelling::Camel.name("redirect_uri"), "redirectUri");
    }

    #[test]
    fn a_peers_text_names_no_option() {
        assert_eq!(Spelling::Camel.spelled(&foreign("`redirect_uri` is wrong")), "'redirect_uri' is wrong");
    }
}
