//! The fuzz target `uri`.
#![cfg_attr(fuzzing, no_main)]
keybound_fuzz::fuzz_target!(uri);
