//! The bodies that the checks need.

use super::wire::{Input, Output, To};
use crate::check::Stop;

/// A message id: account of the sender, time in seconds, random number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Id {
    pub(crate) sender: u64,
    pub(crate) time: u64,
    pub(crate) random: u64,
}

impl Id {
    fn read(input: &mut Input<'_>) -> Result<Self, Stop> {
        Ok(Self {
            sender: input.varint()?,
            time: input.varint()?,
            random: input.varint()?,
        })
    }
}

/// The fields of `OfflinePush`, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Push {
    pub(crate) disable_push: bool,
    pub(crate) title: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) extension: Option<String>,
    pub(crate) ignore_ios_badge: bool,
    pub(crate) android_oppo_channel_id: Option<String>,
}

/// What a SEND says.
#[derive(Debug, Clone)]
pub(crate) struct SendBody {
    pub(crate) online_only: bool,
    pub(crate) push: Option<Push>,
    pub(crate) to: To,
    pub(crate) id: Id,
    pub(crate) client_sequence: u64,
    pub(crate) priority: u8,
    pub(crate) kind: u16,
    pub(crate) payload: Vec<u8>,
    /// Encoded.
    pub(crate) extensions: Vec<u8>,
}

impl SendBody {
    pub(crate) fn encode(&self) -> Vec<u8> {
        Output::default()
            .bytes(&send_options(self.online_only, self.push.as_ref()))
            .to(&self.to)
            .varint(self.id.sender)
            .varint(self.id.time)
            .varint(self.id.random)
            .varint(self.client_sequence)
            .u8(self.priority)
            .varint(self.kind.into())
            .bytes(&self.payload)
            .raw(&self.extensions)
            .0
    }

    pub(crate) fn read(body: &[u8]) -> Result<Self, Stop> {
        let mut input = Input(body);
        let mut options = Input(input.bytes()?);
        let online_only = options.bool()?;
        let push = if options.bool()? {
            Some(Push {
                disable_push: options.bool()?,
                title: options.optional_str()?,
                description: options.optional_str()?,
                extension: options.optional_str()?,
                ignore_ios_badge: options.bool()?,
                android_oppo_channel_id: options.optional_str()?,
            })
        } else {
            None
        };
        if !options.0.is_empty() {
            return Err(Stop::fail(
                "the options of a SEND have fields that SPEC.md does not name",
            ));
        }
        Ok(Self {
            online_only,
            push,
            to: input.to()?,
            id: Id::read(&mut input)?,
            client_sequence: input.varint()?,
            priority: input.u8()?,
            kind: u16::try_from(input.varint()?).map_err(Stop::fail)?,
            payload: input.bytes()?.to_vec(),
            extensions: input.0.to_vec(),
        })
    }
}

pub(crate) fn send_options(online_only: bool, push: Option<&Push>) -> Vec<u8> {
    let options = Output::default().bool(online_only);
    match push {
        None => options.u8(0).0,
        Some(push) => {
            options
                .u8(1)
                .bool(push.disable_push)
                .optional_str(push.title.as_deref())
                .optional_str(push.description.as_deref())
                .optional_str(push.extension.as_deref())
                .bool(push.ignore_ios_badge)
                .optional_str(push.android_oppo_channel_id.as_deref())
                .0
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SendResponse {
    pub(crate) sequence: u64,
    pub(crate) time: u64,
    pub(crate) duplicate: bool,
}

impl SendResponse {
    pub(crate) fn read(body: &[u8]) -> Result<Self, Stop> {
        let mut input = Input(body);
        let response = Self {
            sequence: input.varint()?,
            time: input.varint()?,
            duplicate: input.bool()?,
        };
        input.extensions()?;
        Ok(response)
    }
}

/// A message: the hub's envelope and the sender's content.
#[derive(Debug, Clone)]
pub(crate) struct RawMessage {
    pub(crate) sequence: u64,
    pub(crate) time: u64,
    pub(crate) flags: u64,
    pub(crate) from: String,
    pub(crate) to: To,
    pub(crate) id: Id,
    pub(crate) priority: u8,
    pub(crate) kind: u64,
    pub(crate) payload: Vec<u8>,
    pub(crate) extensions: Vec<(u64, Vec<u8>)>,
}

impl RawMessage {
    pub(crate) const REVOKED: u64 = 1;
    pub(crate) const ONLINE_ONLY: u64 = 1 << 1;

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Stop> {
        let mut input = Input(bytes);
        let (sequence, time, flags) = (input.varint()?, input.varint()?, input.varint()?);
        let (_origin, from, to) = (input.varint()?, input.str()?, input.to()?);
        let id = Id::read(&mut input)?;
        let _client_sequence = input.varint()?;
        Ok(Self {
            sequence,
            time,
            flags,
            from,
            to,
            id,
            priority: input.u8()?,
            kind: input.varint()?,
            payload: input.bytes()?.to_vec(),
            extensions: input.extensions()?,
        })
    }
}
