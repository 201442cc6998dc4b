//! The fuzz target `challenge`.
#![cfg_attr(fuzzing, no_main)]
keybound_fuzz::fuzz_target!(challenge);
