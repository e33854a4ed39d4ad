//! The parsers.
#![no_std]
#![no_main]

footprint_images::image!(footprint_images::parsers::run);
