//! The vendor's tables: error codes with names and advice, SDK constants, service limits and platform capabilities.
//! The linker drops tables that a program does not use.

pub mod capability;
pub mod code;
pub mod constants;
pub mod limits;
