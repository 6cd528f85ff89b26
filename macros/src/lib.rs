//! The attribute macros of the `heist` runtime.
