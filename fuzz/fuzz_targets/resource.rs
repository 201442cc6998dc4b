//! The fuzz target `resource`.
#![cfg_attr(fuzzing, no_main)]
keybound_fuzz::fuzz_target!(resource);
