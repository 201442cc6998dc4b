//! The fuzz target `der`.
#![cfg_attr(fuzzing, no_main)]
keybound_fuzz::fuzz_target!(der);
