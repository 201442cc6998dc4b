//! Replay protection in memory.
