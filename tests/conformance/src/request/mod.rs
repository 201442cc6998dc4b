//! Requests to servers, told as short stories. Each becomes a vector in `tests/vectors/requests`, which every language plays back through
//! its own binding.

pub mod player;
pub mod story;
pub mod world;

pub use player::play_back;
pub use story::Story;
