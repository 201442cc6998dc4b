//! The fuzz target `signed`.
#![cfg_attr(fuzzing, no_main)]
keybound_fuzz::fuzz_target!(signed);
