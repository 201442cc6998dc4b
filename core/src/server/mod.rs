//! The server's side: what a protected resource and an authorization server decide about a request.
