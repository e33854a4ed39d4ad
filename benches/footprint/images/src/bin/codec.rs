//! The wire format.
#![no_std]
#![no_main]

footprint_images::image!(footprint_images::codec::run);
