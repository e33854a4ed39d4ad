//! The network between a hub and its database: it passes on what they say, and cuts them off when it is told.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::Result;
use crate::hub::PATIENCE;

/// What happens at the next COMMIT of a transaction that writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtCommit {
    /// The connection is cut, and the server gets no COMMIT.
    CutBefore,
    /// The connection is cut when the server has answered; the hub does not get the answer.
    CutAfter,
    /// The hub does not get the answer, nor anything after it, and the connection stays.
    LoseAnswer,
}

/// How the network is.
#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// How often all connections were cut.
    cuts: u64,
    /// Nothing is passed on.
    is_halted: bool,
}

#[derive(Debug)]
struct Shared {
    server: PathBuf,
    state: watch::Sender<State>,
    order: Mutex<Option<AtCommit>>,
    /// How many orders were carried out.
    done: watch::Sender<u64>,
}

/// A TCP address of a server that listens at a Unix socket.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Network {
    pub(crate) async fn open(server: &Path) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let shared = Arc::new(Shared {
            server: server.to_owned(),
            state: watch::Sender::default(),
            order: Mutex::default(),
            done: watch::Sender::default(),
        });
        let address = listener.local_addr()?;
        let accepting = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((hub, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&accepting).carry(hub));
            }
        });
        Ok(Self { address, shared })
    }

    /// Cuts all connections. New ones are possible.
    pub(crate) fn cut(&self) {
        self.shared.state.send_modify(|state| state.cuts += 1);
    }

    /// From now on nothing is passed on, or everything is again. Connections stay.
    pub(crate) fn halt(&self, is_halted: bool) {
        self.shared.state.send_modify(|state| state.is_halted = is_halted);
    }

    /// Waits until this has happened.
    pub(crate) async fn at_commit(&self, order: AtCommit) -> Result<()> {
        let mut done = self.shared.done.subscribe();
        let before = *done.borrow_and_update();
        *self.shared.order() = Some(order);
        match timeout(PATIENCE, done.wait_for(|count| *count > before)).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err("the hub does not commit".into()),
        }
    }
}

impl Shared {
    fn order(&self) -> std::sync::MutexGuard<'_, Option<AtCommit>> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn carried_out(&self) {
        self.done.send_modify(|count| *count += 1);
    }

    /// Carries one connection until it is cut or one end closes it.
    async fn carry(self: Arc<Self>, mut hub: TcpStream) {
        let Ok(mut server) = UnixStream::connect(&self.server).await else {
            return;
        };
        let mut state = self.state.subscribe();
        let cuts = state.borrow_and_update().cuts;
        let (mut said, mut answered) = (Said::default(), [0; 16_384]);
        let (mut at_commit, mut is_mute) = (None, false);
        let mut from_hub = vec![0; 16_384];
        loop {
            let is_halted = state.borrow().is_halted;
            tokio::select! {
                changed = state.changed() => {
                    if changed.is_err() || state.borrow().cuts != cuts {
                        return;
                    }
                }
                read = hub.read(&mut from_hub), if !is_halted => {
                    let Ok(count @ 1..) = read else { return };
                    said.bytes.extend_from_slice(&from_hub[..count]);
                    while let Some((message, is_commit)) = said.next() {
                        let order = if is_commit { self.order().take() } else { None };
                        if order == Some(AtCommit::CutBefore) {
                            return self.carried_out();
                        }
                        at_commit = at_commit.or(order);
                        if server.write_all(&message).await.is_err() {
                            return;
                        }
                    }
                }
                read = server.read(&mut answered), if !is_halted => {
                    let Ok(count @ 1..) = read else { return };
                    match at_commit.take() {
                        Some(AtCommit::CutAfter) => return self.carried_out(),
                        Some(_) => {
                            is_mute = true;
                            self.carried_out();
                        }
                        None => {}
                    }
                    if !is_mute && hub.write_all(&answered[..count]).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

/// What a hub says, message by message: a kind but for the first one, then a length that counts itself.
#[derive(Debug, Default)]
struct Said {
    bytes: Vec<u8>,
    has_begun: bool,
    /// In a transaction that may write.
    is_writing: bool,
}

impl Said {
    /// The next whole message, and whether it commits what was written.
    fn next(&mut self) -> Option<(Vec<u8>, bool)> {
        let kind_len = usize::from(self.has_begun);
        let len: [u8; 4] = self.bytes.get(kind_len..kind_len + 4)?.try_into().ok()?;
        let end = kind_len + usize::try_from(u32::from_be_bytes(len)).ok()?;
        if self.bytes.len() < end {
            return None;
        }
        let message: Vec<u8> = self.bytes.drain(..end).collect();
        self.has_begun = true;
        let text = match message.first() {
            Some(b'Q') if kind_len == 1 => message.get(5..).unwrap_or_default(),
            _ => b"",
        };
        // The readers of a hub say more than BEGIN.
        let is_commit = self.is_writing && text == b"COMMIT\0";
        self.is_writing =
            (self.is_writing || text == b"BEGIN\0") && !matches!(text, b"COMMIT\0" | b"ROLLBACK\0");
        Some((message, is_commit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_of_what_was_written_is_found_whatever_the_pieces() {
        let query = |text: &str| {
            let mut message = vec![b'Q'];
            message.extend_from_slice(&u32::try_from(text.len() + 5).unwrap().to_be_bytes());
            message.extend_from_slice(text.as_bytes());
            message.push(0);
            message
        };
        let mut all = vec![0, 0, 0, 8, 0, 3, 0, 0];
        for text in [
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            "COMMIT",
            "BEGIN",
            "COMMIT",
            "COMMIT",
        ] {
            all.extend(query(text));
        }
        let (mut said, mut passed, mut commits) = (Said::default(), Vec::new(), Vec::new());
        for piece in all.chunks(7) {
            said.bytes.extend_from_slice(piece);
            while let Some((message, is_commit)) = said.next() {
                passed.extend(message);
                commits.push(is_commit);
            }
        }
        assert_eq!(passed, all);
        assert_eq!(commits, [false, false, false, false, true, false]);
    }
}
