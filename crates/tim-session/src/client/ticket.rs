//! Handles of pending requests.

use core::fmt;
use core::marker::PhantomData;

use tim_proto::request::{Failure, RawResponse, Request};

/// Identifies a pending request within its session: the id of its frame.
///
/// For logs and for tables that hold requests of several types. A [`Ticket`] has the request's type as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(crate) u32);

impl RequestId {
    /// The id as a number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// The handle of a pending request of type `R`, which decodes its response.
///
/// It does not borrow the request: a `Ticket<Send<'a>>` can be kept as a `Ticket<Send<'static>>`.
///
/// ```
/// use tim_session::proto::request::Fetch;
/// use tim_session::{Event, Ticket};
///
/// /// The length of the payload that `fetch` asked for, once its response arrives.
/// fn total(event: &Event<'_>, fetch: Ticket<Fetch>) -> Option<u32> {
///     match event {
///         Event::Response { id, response } if *id == fetch.id() => Some(fetch.response(response).ok()?.total),
///         _ => None,
///     }
/// }
/// ```
pub struct Ticket<R> {
    id: RequestId,
    request: PhantomData<fn(R)>, // contravariant, so that a ticket does not borrow its request
}

impl<R: Request> Ticket<R> {
    pub(super) const fn new(id: RequestId) -> Self {
        Self {
            id,
            request: PhantomData,
        }
    }

    /// The id that events name the request by.
    #[must_use]
    pub const fn id(&self) -> RequestId {
        self.id
    }

    /// Decodes the response of [`Event::Response`](crate::Event::Response) for this request.
    ///
    /// # Errors
    /// [`Failure::MALFORMED`], as [`RawResponse::decode`].
    pub fn response<'a>(&self, raw: &RawResponse<'a>) -> Result<R::Response<'a>, Failure<'static>> {
        raw.decode::<R>()
    }
}

impl<R> fmt::Debug for Ticket<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({})", self.id.0)
    }
}

impl<R> Clone for Ticket<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Ticket<R> {}

impl<R> PartialEq for Ticket<R> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl<R> Eq for Ticket<R> {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use tim_proto::request::Renew;

    #[test]
    fn a_ticket_outlives_the_request_that_it_was_given_for() {
        fn issue<R: Request>(_: &R) -> Ticket<R> {
            Ticket::new(RequestId(7))
        }
        let ticket: Ticket<Renew<'static>> = {
            let user_sig = String::from("eJw");
            issue(&Renew::new(&user_sig))
        };
        assert_eq!(ticket.id().number(), 7);
    }
}
