//! The whole client.
#![no_std]
#![no_main]

footprint_images::image!(footprint_images::client::run);
