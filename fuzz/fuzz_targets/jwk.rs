//! The fuzz target `jwk`.
#![cfg_attr(fuzzing, no_main)]
keybound_fuzz::fuzz_target!(jwk);
