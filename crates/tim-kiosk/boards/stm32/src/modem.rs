//! A modem in transparent mode as a socket: it has connected to the hub, and passes bytes on.

use embassy_stm32::usart::{BufferedUartRx, BufferedUartTx};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::mutex::Mutex;
use embedded_io_async::{Error as _, ErrorKind, Read as _, Write as _};
use tim_device_tls::{PIN_LEN, Socket};

/// The pins of the hub's key and of the next one; `tim-device-tls` says how they are made.
pub(crate) const PINS: [[u8; PIN_LEN]; 2] = [[0x5a; PIN_LEN], [0xa5; PIN_LEN]];

pub(crate) struct Modem {
    rx: Mutex<NoopRawMutex, BufferedUartRx<'static>>,
    tx: Mutex<NoopRawMutex, BufferedUartTx<'static>>,
}

impl Modem {
    pub(crate) const fn new(rx: BufferedUartRx<'static>, tx: BufferedUartTx<'static>) -> Self {
        Self {
            rx: Mutex::new(rx),
            tx: Mutex::new(tx),
        }
    }
}

impl Socket for Modem {
    async fn connect(&self) -> bool {
        // A product dials here: the modem's commands, and its answer that it has connected.
        true
    }

    async fn disconnect(&self) {
        // And hangs up here. What the modem passed on of the old connection must not be read as part of the next one.
    }

    async fn read(&self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        self.rx
            .lock()
            .await
            .read(buffer)
            .await
            .map_err(|error| error.kind())
    }

    async fn write(&self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.tx
            .lock()
            .await
            .write(bytes)
            .await
            .map_err(|error| error.kind())
    }

    async fn flush(&self) -> Result<(), ErrorKind> {
        self.tx.lock().await.flush().await.map_err(|error| error.kind())
    }
}
