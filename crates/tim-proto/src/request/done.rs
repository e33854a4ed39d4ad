//! The empty response.

use crate::wire::wire;

wire! {
    /// A response without fields: the request was carried out.
    #[derive(Debug)]
    pub struct Done;
}
