//! The whole client on a serial line.
#![no_std]
#![no_main]

footprint_images::image!(footprint_images::client::on_serial);
