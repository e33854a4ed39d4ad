//! The tim server: accounts, conversation logs, live push, on an embedded store.
