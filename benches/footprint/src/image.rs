//! What a linked image takes.

use std::path::Path;

use object::{Object, ObjectSection, SectionFlags, SectionKind, elf};

/// Bytes of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// What stands in flash: code, constants, and the first values of variables.
    pub flash: u64,
    /// Variables, and the state that the image says it keeps on its stack; the stack itself and buffers not counted.
    pub ram: u64,
}

/// What stands before an image's word on its state, see the images' `Marker`.
const MARKER: &[u8] = b"footprint-state:";
/// The marker itself and the number behind it are no part of what is measured.
const MARKER_LEN: u64 = MARKER.len() as u64 + 4;

/// Measures an image on disk.
pub fn measure(path: &Path) -> Result<Size, Box<dyn std::error::Error>> {
    let bytes = std::fs::read(path)?;
    let file = object::File::parse(&*bytes)?;
    let mut size = Size { flash: 0, ram: 0 };
    for section in file.sections().filter(|section| is_loaded(section.flags())) {
        let name = section.name()?;
        // Tables for unwinding, which no firmware without unwinding keeps (cortex-m-rt's and riscv-rt's scripts drop them).
        if name.starts_with(".ARM.ex") || name.starts_with(".eh_frame") {
            continue;
        }
        match section.kind() {
            SectionKind::UninitializedData => size.ram += section.size(),
            SectionKind::Data => {
                size.flash += section.size();
                size.ram += section.size();
            }
            _ => size.flash += section.size(),
        }
        if let Some(state) = state_in(section.data()?) {
            size.ram += u64::from(state);
            size.flash -= MARKER_LEN;
        }
    }
    Ok(size)
}

fn is_loaded(flags: SectionFlags) -> bool {
    matches!(flags, SectionFlags::Elf { sh_flags, .. } if sh_flags & u64::from(elf::SHF_ALLOC) != 0)
}

/// How much state the image says it has.
fn state_in(data: &[u8]) -> Option<u32> {
    let at = data.windows(MARKER.len()).position(|bytes| bytes == MARKER)? + MARKER.len();
    Some(u32::from_le_bytes(data.get(at..at + 4)?.try_into().ok()?))
}
