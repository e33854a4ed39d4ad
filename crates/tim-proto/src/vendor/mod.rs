//! The vendor's tables: error codes with names and advice, the SDK's constants, the limits of the service, and what each
//! platform can do. A program that does not use a table does not link it.

pub mod capability;
pub mod code;
pub mod constants;
pub mod limits;
