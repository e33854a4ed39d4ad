//! The tim SDK: every call of the documented API under its Rust name.
