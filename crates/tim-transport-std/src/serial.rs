//! Serial ports.

use std::future::Future;
use std::io;

use serial2_tokio::SerialPort;

use crate::address::SerialAddress;
use crate::connect::Connector;

/// Opens a serial port, in raw mode. The session on it needs [`Framing::Serial`](tim_session::Framing::Serial), which
/// [`Address::framing`](crate::Address::framing) says.
#[derive(Debug, Clone)]
pub struct SerialConnector {
    port: SerialAddress,
}

impl SerialConnector {
    /// Opens this port.
    #[must_use]
    pub const fn new(port: SerialAddress) -> Self {
        Self { port }
    }
}

impl Connector for SerialConnector {
    type Link = SerialPort;

    fn connect(&mut self) -> impl Future<Output = io::Result<SerialPort>> + Send + 'static {
        let opened = SerialPort::open(self.port.device(), self.port.baud());
        async move { opened }
    }
}
