//! What is taken for a key, and what is not.
