//! The whole client on a stream.
#![no_std]
#![no_main]

footprint_images::image!(footprint_images::client::on_stream);
