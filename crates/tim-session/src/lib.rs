//! The two ends of a tim connection as sans-IO state machines. No std, no heap.
