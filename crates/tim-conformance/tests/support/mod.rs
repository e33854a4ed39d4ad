//! A proxy that changes what a hub and its clients say to each other.
#![allow(dead_code)] // each test file uses its part

use std::io;
use std::sync::Arc;

use tim_client::transport::{Connector, MemoryConnector};
use tim_conformance::{OwnHub, Target};
use tim_hub::usersig::{App, UserSig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};

pub(crate) const APP: u32 = 1_400_000_000;
pub(crate) const KEY: &str = "a key of the tests, long enough";
/// How long UserSigs are valid: longer than any jump of a hub's clock.
const SIG_SECONDS: u64 = 60 * 86_400;

/// A frame on its way.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) to_hub: bool,
    pub(crate) kind: u8,
    pub(crate) id: u64,
    pub(crate) body: Vec<u8>,
}

/// Changes a frame, or swallows it.
pub(crate) type Mangle = fn(Frame) -> Option<Frame>;

/// A hub behind a proxy, as a target.
pub(crate) fn behind(hub: &OwnHub, mangle: Mangle) -> Target {
    let connector = Proxy {
        hub: hub.connector(),
        mangle,
    };
    target(connector)
}

/// A target of the application that the tests' hubs serve.
pub(crate) fn target(connector: impl Connector) -> Target {
    let app = App::new(APP, KEY);
    Target::new(APP, connector, move |user| {
        let now = std::time::SystemTime::now();
        let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        UserSig::sign(&app, user, now, SIG_SECONDS)
    })
}

#[derive(Clone)]
struct Proxy {
    hub: MemoryConnector,
    mangle: Mangle,
}

impl Connector for Proxy {
    type Link = DuplexStream;

    fn connect(&mut self) -> impl Future<Output = io::Result<DuplexStream>> + Send + 'static {
        let (connecting, mangle) = (self.hub.connect(), Arc::new(self.mangle));
        async move {
            let (hub_reads, hub_writes) = tokio::io::split(connecting.await?);
            let (client, proxy) = tokio::io::duplex(64 * 1024);
            let (reads, writes) = tokio::io::split(proxy);
            tokio::spawn(pass(reads, hub_writes, true, *mangle));
            tokio::spawn(pass(hub_reads, writes, false, *mangle));
            Ok(client)
        }
    }
}

/// Passes hello and frames on, changed.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    to_hub: bool,
    mangle: Mangle,
) -> io::Result<()> {
    let mut hello = [0; 20];
    from.read_exact(&mut hello).await?;
    to.write_all(&hello).await?;
    let mut received = Vec::new();
    loop {
        while let Some((kind, id, body, len)) = first_frame(&received) {
            received.drain(..len);
            let frame = Frame {
                to_hub,
                kind,
                id,
                body,
            };
            if let Some(Frame { kind, id, body, .. }) = mangle(frame) {
                let mut bytes = vec![kind];
                put(&mut bytes, id);
                put(&mut bytes, body.len() as u64);
                bytes.extend(body);
                to.write_all(&bytes).await?;
            }
        }
        if from.read_buf(&mut received).await? == 0 {
            return to.shutdown().await;
        }
    }
}

fn first_frame(bytes: &[u8]) -> Option<(u8, u64, Vec<u8>, usize)> {
    let mut at = 1;
    let id = number(bytes, &mut at)?;
    let len = number(bytes, &mut at)? as usize;
    let body = bytes.get(at..at + len)?.to_vec();
    Some((*bytes.first()?, id, body, at + len))
}

/// The number at this place, which moves behind it.
pub(crate) fn number(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
        shift += 7;
    }
}

/// Moves behind a string.
pub(crate) fn skip_bytes(bytes: &[u8], at: &mut usize) {
    let len = number(bytes, at).unwrap() as usize;
    *at += len;
}

/// Moves behind a conversation.
pub(crate) fn skip_to(bytes: &[u8], at: &mut usize) {
    let conversation_type = bytes[*at];
    *at += 1;
    if conversation_type != 0 {
        skip_bytes(bytes, at);
    }
}

pub(crate) fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}
