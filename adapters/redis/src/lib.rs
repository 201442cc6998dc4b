//! Remembers proofs in Redis or Valkey, for every process that serves a resource.
