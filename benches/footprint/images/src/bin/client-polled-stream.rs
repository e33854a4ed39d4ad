//! The whole client, polled by a main loop, on a stream.
#![no_std]
#![no_main]

footprint_images::image!(footprint_images::polled::on_stream);
