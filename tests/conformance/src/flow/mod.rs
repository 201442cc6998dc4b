//! Stories of whole flows: a client driven step by step against a small authorization server and API.
//!
//! A story is a list of operations in JSON. Playing it gives a transcript: what the core asked for at each step and what it was
//! answered. Transcripts are the vectors in `tests/vectors/flows`, which every language plays back without the server.

pub mod host;
pub mod identity;
pub mod operations;
pub mod seen;
pub mod server;
pub mod story;

pub use story::{Story, play_back, play_changed};
