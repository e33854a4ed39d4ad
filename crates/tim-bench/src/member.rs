//! Members of large groups: [`RawClient`]s on TCP connections.

use tim_proto::request::Login;
use tim_proto::{Platform, UserId};
use tim_testkit::RawClient;
use tokio::net::TcpStream;

use crate::Result;
use crate::hub::Target;

/// How many deliveries a member takes ahead.
const WINDOW: u16 = 64;
/// How much is read at a time.
const CHUNK: usize = 16 * 1024;

/// A client of the hub with this user's login on its way.
pub(crate) fn raw_client(target: &Target, name: &str) -> Result<RawClient> {
    let user = UserId::new(name)?;
    let sig = target.sig(&user);
    let login = Login::new(target.app.id, user, &sig, 1, Platform::DESKTOP)
        .with_session(1)
        .with_attempt(1);
    Ok(RawClient::new(&login, WINDOW))
}

/// A member on a TCP connection.
#[derive(Debug)]
pub(crate) struct Member {
    stream: TcpStream,
    pub(crate) raw: RawClient,
}

impl Member {
    /// Logs in and waits until everything older is delivered.
    pub(crate) async fn login(target: &Target, name: &str) -> Result<Self> {
        Self::login_on(TcpStream::connect(target.socket()?).await?, target, name).await
    }

    /// The same on a connection that is there already.
    pub(crate) async fn login_on(stream: TcpStream, target: &Target, name: &str) -> Result<Self> {
        stream.set_nodelay(true)?;
        let raw = raw_client(target, name)?;
        let mut member = Self { stream, raw };
        while !member.raw.synced {
            member.turn().await?;
        }
        member.raw.delivered = 0;
        Ok(member)
    }

    /// Sends what is outgoing, waits until something arrives, and takes it.
    pub(crate) async fn turn(&mut self) -> Result<()> {
        self.flush().await?;
        self.stream.readable().await?;
        self.take()?;
        self.flush().await
    }

    /// Not a future, so that the bytes are on the stack only as long as this takes.
    fn take(&mut self) -> Result<()> {
        let mut bytes = [0; CHUNK];
        match self.stream.try_read(&mut bytes) {
            Ok(0) => Err("the hub closed the connection".into()),
            Ok(len) => Ok(self.raw.receive(&bytes[..len])?),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn flush(&mut self) -> Result<()> {
        while !self.raw.outgoing.is_empty() {
            match self.stream.try_write(&self.raw.outgoing) {
                Ok(len) if len == self.raw.outgoing.len() => self.raw.outgoing = Vec::new(),
                Ok(len) => drop(self.raw.outgoing.drain(..len)),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    self.stream.writable().await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
