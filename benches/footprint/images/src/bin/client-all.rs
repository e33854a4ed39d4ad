//! The whole client, with all its calls but those of files.
#![no_std]
#![no_main]

footprint_images::image!(footprint_images::client::run_all_calls);
