//! The fuzz target `json`.
#![cfg_attr(fuzzing, no_main)]
keybound_fuzz::fuzz_target!(json);
