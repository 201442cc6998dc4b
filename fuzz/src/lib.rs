//! What holds for every input, however hostile: one function for each fuzz target, which panics where it does not hold.
//!
//! `cargo fuzz run NAME` looks for such an input; `cargo test -p keybound-fuzz` replays the seeds in `corpus/`, each
//! of them a vector, an example of an RFC or an input that once was or might be trouble. Where there is a second
//! opinion (`serde_json`, `base64ct`, `p256`), the two must agree.

mod base64url;
mod challenge;
mod compact;
mod der;
mod json;
mod jwk;
mod nonce;
mod oracle;
mod resource;
mod story;
mod strict_json;
mod uri;

pub use base64url::base64url;
pub use challenge::challenge;
pub use compact::{compact_jws, signed};
pub use der::der;
pub use json::json;
pub use jwk::jwk;
pub use nonce::nonce;
pub use resource::resource;
pub use uri::uri;

/// A fuzz target: it panics if a property does not hold for these bytes.
pub type Target = fn(&[u8]);

/// Every target by name, which is also the name of its program and of its folder in `corpus/`.
pub const TARGETS: [(&str, Target); 10] = [
    ("base64url", base64url),
    ("challenge", challenge),
    ("compact_jws", compact_jws),
    ("der", der),
    ("json", json),
    ("jwk", jwk),
    ("nonce", nonce),
    ("resource", resource),
    ("signed", signed),
    ("uri", uri),
];

/// The entry of a fuzz target's program: libFuzzer's under cargo-fuzz; else one that replays the files it is given.
#[macro_export]
macro_rules! fuzz_target {
    ($target:ident) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::$target(data));
        #[cfg(not(fuzzing))]
        fn main() -> std::io::Result<()> {
            $crate::replay_arguments($crate::$target)
        }
    };
}

/// Runs `target` on each file named on the command line.
///
/// # Errors
/// If one cannot be read.
pub fn replay_arguments(target: Target) -> std::io::Result<()> {
    for path in std::env::args_os().skip(1) {
        target(&std::fs::read(path)?);
    }
    Ok(())
}
