//! Socket drivers for tim sessions: tokio TCP and an in-memory pair.
