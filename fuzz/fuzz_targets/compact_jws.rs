//! The fuzz target `compact_jws`.
#![cfg_attr(fuzzing, no_main)]
keybound_fuzz::fuzz_target!(compact_jws);
