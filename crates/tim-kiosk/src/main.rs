//! A lobby terminal (echo test for now).
#![no_std]
#![no_main]

#[allow(unsafe_code, reason = "registers, interrupts and the executor's start")]
mod board;

use board::{Receiver, Sender, Uart};
use embedded_io_async::{Read as _, Write as _};

#[cortex_m_rt::entry]
fn main() -> ! {
    let board = board::start();
    board::run(|spawner| {
        for uart in [board.console, board.line] {
            if let Ok(token) = echo(uart) {
                spawner.spawn(token);
            }
        }
    })
}

#[embassy_executor::task(pool_size = 2)]
async fn echo(uart: Uart) {
    let Uart { mut receiver, mut sender } = uart;
    let _ = sender.write_all(b"hello\r\n").await;
    let mut buf = [0; 64];
    loop {
        let Ok(len) = receiver.read(&mut buf).await;
        let _ = sender.write_all(&buf[..len]).await;
        if buf[..len].contains(&b'!') { panic!("asked for") }
        if buf[..len].contains(&b't') { embassy_time::Timer::after_millis(300).await; let _ = sender.write_all(b"later\r\n").await; }
    }
}
