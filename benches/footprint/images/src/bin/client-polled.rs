//! The whole client, polled by a main loop, on a serial line.
#![no_std]
#![no_main]

footprint_images::image!(footprint_images::polled::on_serial);
