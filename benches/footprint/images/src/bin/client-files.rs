//! The whole client, with all its calls, those of files too.
#![no_std]
#![no_main]

footprint_images::image!(footprint_images::client::run_all_calls_and_files);
