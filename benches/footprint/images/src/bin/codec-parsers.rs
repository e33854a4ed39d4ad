//! The wire format and the parsers.
#![no_std]
#![no_main]

footprint_images::image!(|board: &mut footprint_images::device::Device| {
    footprint_images::codec::run(board)?;
    footprint_images::parsers::run(board)
});
