//! The hub as devices see it: over real TCP, with real sessions, and a clock that the tests set.

mod backup;
mod borders;
mod broken;
mod callbacks;
mod expiry;
mod faulty_store;
mod files;
mod groups;
mod groups_made;
mod ids;
mod keeping;
mod limits;
mod login;
mod messages;
mod metrics;
mod names;
mod notices;
mod pace;
mod push;
mod rest;
mod restored;
mod revoked;
mod rooms;
mod support;
mod visibility;
