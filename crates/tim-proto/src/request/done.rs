//! The empty response.

use crate::wire::{Encode, Read, Reader, Writer};

/// A response without fields: the request was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done;

impl Encode for Done {
    fn encode(&self, _: &mut Writer<'_>) {}
}

impl<'a> Read<'a> for Done {
    fn read(_: &mut Reader<'a>) -> Self {
        Self
    }
}
