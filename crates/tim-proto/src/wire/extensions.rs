//! Extensions: `(tag, length, bytes)*` after the known fields of a body.

use super::{DecodeError, Encode, Read, Reader, Writer, decode_prefix, features, wire};

/// The extensions of a body, as bytes that were checked when they were decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Extensions<'a>(&'a [u8]);

wire! {
    /// One extension.
    #[derive(Debug)]
    pub struct Extension<'a> {
        /// Which extension this is. Its meaning depends on the body that it belongs to.
        pub tag: u32,
        /// Its content.
        pub bytes: &'a [u8],
    }
}

impl<'a> Extensions<'a> {
    /// No extensions.
    pub const NONE: Self = Self(&[]);

    /// Checks that `bytes` are extensions.
    ///
    /// # Errors
    /// [`DecodeError`] if they are not.
    pub fn new(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        decode_prefix(bytes).map(|(extensions, _)| extensions)
    }

    /// Extensions that were just written.
    pub(crate) const fn of_written(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The encoded extensions.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// All extensions, in their order on the wire.
    pub fn iter(&self) -> impl Iterator<Item = Extension<'a>> + Clone + use<'a> {
        let mut reader = Reader::new(self.0);
        core::iter::from_fn(move || next(&mut reader))
    }

    /// The content of the first extension with this tag.
    #[must_use]
    pub fn get(&self, tag: u32) -> Option<&'a [u8]> {
        self.iter()
            .find(|extension| extension.tag == tag)
            .map(|extension| extension.bytes)
    }

    /// Whether there are no extensions.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `None` at the end and behind a fault.
fn next<'a>(reader: &mut Reader<'a>) -> Option<Extension<'a>> {
    if reader.rest().is_empty() {
        return None;
    }
    let extension = reader.read();
    reader.check().is_ok().then_some(extension)
}

impl Encode for Extensions<'_> {
    fn encode(&self, writer: &mut Writer<'_>) {
        writer.put(self.0);
    }
}

impl<'a> Read<'a> for Extensions<'a> {
    /// Takes the rest of the body, after checking that it consists of extensions.
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Self {
        let all = reader.rest();
        while next(reader).is_some() {}
        Self(all)
    }

    features! {
        from, to:
        serde from.deserialize_seq(super::serde::Items::<Extension<'a>>::new(to, true)),
        arbitrary super::arbitrary::extensions(from, to),
    }
}
