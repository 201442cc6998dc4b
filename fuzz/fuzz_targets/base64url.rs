//! The fuzz target `base64url`.
#![cfg_attr(fuzzing, no_main)]
keybound_fuzz::fuzz_target!(base64url);
