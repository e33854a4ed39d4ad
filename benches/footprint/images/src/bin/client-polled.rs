//! The whole client, polled by a main loop.
#![no_std]
#![no_main]

footprint_images::image!(footprint_images::polled::run);
