//! The fuzz target `nonce`.
#![cfg_attr(fuzzing, no_main)]
keybound_fuzz::fuzz_target!(nonce);
