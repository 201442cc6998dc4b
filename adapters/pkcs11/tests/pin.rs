//! The PIN: to whom it is given, how often, and where it never is.
