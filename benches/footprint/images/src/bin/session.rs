//! The wire format, the parsers and the session.
#![no_std]
#![no_main]

footprint_images::image!(footprint_images::session::run);
