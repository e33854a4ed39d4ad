//! Values, frames and the hello, as SPEC.md has them.

use crate::check::Stop;

/// The length of a hello.
pub(crate) const HELLO_LEN: usize = 20;
pub(crate) const MAGIC: [u8; 4] = [0x74, 0x69, 0x6d, 0x1a];

/// Writes values.
#[derive(Default, Clone)]
pub(crate) struct Output(pub(crate) Vec<u8>);

impl Output {
    pub(crate) fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    /// `u16`, `u32` and `u64`.
    pub(crate) fn varint(mut self, mut value: u64) -> Self {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }

    pub(crate) fn bool(self, value: bool) -> Self {
        self.u8(u8::from(value))
    }

    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        self.varint(bytes.len() as u64).raw(bytes)
    }

    pub(crate) fn str(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    pub(crate) fn optional_str(self, text: Option<&str>) -> Self {
        match text {
            None => self.u8(0),
            Some(text) => self.u8(1).str(text),
        }
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn to(self, to: &To) -> Self {
        match to {
            To::System => self.u8(0),
            To::User(user) => self.u8(1).str(user),
            To::Group(group) => self.u8(2).str(group),
        }
    }
}

/// A conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum To {
    System,
    User(String),
    Group(String),
}

/// Reads values.
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Stop> {
        let (taken, rest) = self
            .0
            .split_at_checked(len)
            .ok_or_else(|| Stop::fail(format_args!("a body ends {} bytes too early", len - self.0.len())))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Stop> {
        let byte = self.take(1)?;
        Ok(byte.first().copied().unwrap_or_default())
    }

    pub(crate) fn varint(&mut self) -> Result<u64, Stop> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            let shifted = bits.checked_shl(shift).filter(|shifted| shifted >> shift == bits);
            value |= shifted.ok_or_else(|| Stop::fail("a number does not fit into 64 bits"))?;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Stop::fail("a number has more than ten bytes"))
    }

    pub(crate) fn bool(&mut self) -> Result<bool, Stop> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Stop::fail(format_args!("a bool is {other}"))),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Stop> {
        let len = self.varint()?;
        self.take(usize::try_from(len).unwrap_or(usize::MAX))
    }

    pub(crate) fn str(&mut self) -> Result<String, Stop> {
        let bytes = self.bytes()?;
        let text = std::str::from_utf8(bytes)
            .map_err(|error| Stop::fail(format_args!("a text is no UTF-8: {error}")))?;
        Ok(text.to_owned())
    }

    pub(crate) fn optional_str(&mut self) -> Result<Option<String>, Stop> {
        self.bool()?.then(|| self.str()).transpose()
    }

    pub(crate) fn to(&mut self) -> Result<To, Stop> {
        match self.u8()? {
            0 => Ok(To::System),
            1 => Ok(To::User(self.str()?)),
            2 => Ok(To::Group(self.str()?)),
            other => Err(Stop::fail(format_args!("a conversation of type {other}"))),
        }
    }

    /// The items of a list, each with its extensions.
    pub(crate) fn list(&mut self) -> Result<Vec<&'a [u8]>, Stop> {
        let mut list = Input(self.bytes()?);
        let mut items = Vec::new();
        while !list.0.is_empty() {
            items.push(list.bytes()?);
        }
        Ok(items)
    }

    pub(crate) fn extensions(&mut self) -> Result<Vec<(u64, Vec<u8>)>, Stop> {
        let mut extensions = Vec::new();
        while !self.0.is_empty() {
            extensions.push((self.varint()?, self.bytes()?.to_vec()));
        }
        Ok(extensions)
    }
}

/// The hello of a client that speaks version 1.
pub(crate) fn hello(features: u32, max_frame: u32, window: u16) -> Vec<u8> {
    let mut hello = MAGIC.to_vec();
    hello.extend([1, 1, 1, 0]);
    hello.extend(features.to_le_bytes());
    hello.extend(max_frame.to_le_bytes());
    hello.extend(window.to_le_bytes());
    hello.extend([0, 0]);
    hello
}

#[derive(Debug, Clone)]
pub(crate) struct RawFrame {
    pub(crate) kind: u8,
    pub(crate) id: u64,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn frame(kind: u8, id: u64, body: &[u8]) -> Vec<u8> {
    Output::default().u8(kind).varint(id).bytes(body).0
}

/// The first frame of these bytes, if it is whole, and its length.
pub(crate) fn first_frame(bytes: &[u8]) -> Option<(RawFrame, usize)> {
    let mut input = Input(bytes);
    let kind = input.u8().ok()?;
    let id = input.varint().ok()?;
    let body = input.bytes().ok()?.to_vec();
    Some((RawFrame { kind, id, body }, bytes.len() - input.0.len()))
}

/// The whole frames of a connection that begins with a hello.
pub(crate) fn frames_behind_hello(bytes: &[u8]) -> Result<Vec<RawFrame>, Stop> {
    let Some((hello, mut rest)) = bytes.split_at_checked(HELLO_LEN) else {
        return Ok(Vec::new());
    };
    if !hello.starts_with(&MAGIC) {
        return Err(Stop::fail("the client does not begin with the magic"));
    }
    let mut frames = Vec::new();
    while let Some((frame, len)) = first_frame(rest) {
        frames.push(frame);
        rest = rest.get(len..).unwrap_or_default();
    }
    Ok(frames)
}
