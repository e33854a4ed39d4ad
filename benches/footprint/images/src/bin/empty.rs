//! Nothing: what the entry, the line and the display take by themselves.
#![no_std]
#![no_main]

footprint_images::image!(|board: &mut footprint_images::device::Device| {
    use footprint_images::Board;
    let (byte, now) = (board.wait(), board.micros());
    board.show(&[byte, now as u8]);
    Some(())
});
