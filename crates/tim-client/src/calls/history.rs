//! `getMessageList`, and fetching what arrived as a stub.

use std::fmt;
use std::str::FromStr;

use tim_proto::request::History;
use tim_proto::{ConversationId, ErrorCode};

use crate::call::encoded;
use crate::client::Client;
use crate::state::{next_piece, take_piece};
use crate::{ImError, Message};

/// The response of [`Client::get_message_list`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GetMessageListResponse {
    /// The messages, oldest first.
    pub message_list: Vec<Message>,
    /// The position of the next, older page.
    pub next_req_message_id: NextReqMessageId,
    /// Whether this is the oldest page.
    pub is_completed: bool,
}

/// A position in the history, between two pages (`nextReqMessageID`). Opaque; it prints as hexadecimal digits, or `end`
/// after the oldest page, and parses from that.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NextReqMessageId(Option<Vec<u8>>);

impl NextReqMessageId {
    /// After the oldest page.
    const END: Self = Self(None);
}

impl fmt::Display for NextReqMessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            None => f.write_str("end"),
        }
    }
}

/// The string is not a valid [`NextReqMessageId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextReqMessageIdError;

impl fmt::Display for NextReqMessageIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected the nextReqMessageID of an earlier page: pairs of hexadecimal digits, or `end`")
    }
}

impl std::error::Error for NextReqMessageIdError {}

impl FromStr for NextReqMessageId {
    type Err = NextReqMessageIdError;

    fn from_str(text: &str) -> Result<Self, NextReqMessageIdError> {
        if text == "end" {
            return Ok(Self::END);
        }
        let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
            [high, low] => Some(hex(*high)? << 4 | hex(*low)?),
            _ => None,
        });
        let bytes = pairs
            .collect::<Option<Vec<u8>>>()
            .filter(|bytes| !bytes.is_empty());
        bytes.map(|bytes| Self(Some(bytes))).ok_or(NextReqMessageIdError)
    }
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl Client {
    /// `getMessageList`: a page of the history of a conversation; without `next` the newest one. `count` is 15 by default and
    /// at most. Paging back until `is_completed` returns each message once.
    ///
    /// # Errors
    /// [`ErrorCode::GROUP_INVALID_PARAMETERS`] for a count of 0; not being ready; or the hub's refusal, for example for a
    /// group that the user is not in.
    ///
    /// ```no_run
    /// # async fn example(client: tim_client::Client, bob: tim_client::UserId) -> Result<(), tim_client::ImError> {
    /// let mut page = client.get_message_list(bob, None, None).await?;
    /// while !page.is_completed {
    ///     let next = page.next_req_message_id;
    ///     page = client.get_message_list(bob, Some(&next), 15).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn get_message_list(
        &self,
        conversation: impl Into<ConversationId>,
        next: Option<&NextReqMessageId>,
        count: impl Into<Option<u32>>,
    ) -> Result<GetMessageListResponse, ImError> {
        let conversation = conversation.into();
        let Some(count) = self.shared.limits.page_len(count.into()) else {
            return Err(ImError::new(
                ErrorCode::GROUP_INVALID_PARAMETERS,
                "count must be at least 1",
            ));
        };
        let next = match next {
            Some(NextReqMessageId(None)) => return Ok(GetMessageListResponse::nothing_more()),
            Some(NextReqMessageId(Some(next))) => next.as_slice(),
            None => &[],
        };
        let count = u16::try_from(count).unwrap_or(u16::MAX);
        let request = encoded(&History::new(conversation).with_next(next).with_count(count));
        let page = self.call(request, |state, page| GetMessageListResponse {
            message_list: state.instances(&page),
            next_req_message_id: NextReqMessageId(Some(page.next.to_vec()).filter(|next| !next.is_empty())),
            is_completed: page.completed,
        });
        let page = page.await?;
        for stub in page.message_list.iter().filter(|message| message.is_stub()) {
            self.fetch_message(stub).await?;
        }
        Ok(page)
    }

    /// Fetches the payload of a stub ([`Message::is_stub`]): a message that is longer than the frames that this client
    /// accepts. Received and listed messages are fetched automatically; this call repeats an attempt that failed. For a
    /// complete message nothing happens.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal; [`ErrorCode::FRAME_TOO_LARGE`] if the payload is larger than 1 MiB.
    pub async fn fetch_message(&self, message: &Message) -> Result<(), ImError> {
        let mut payload = Vec::new();
        while message.is_stub() {
            let request = encoded(&next_piece(message, payload.len(), self.shared.fetch_piece));
            let (message, mut have) = (message.clone(), std::mem::take(&mut payload));
            let piece = self.call(request, move |_, piece| {
                let last = take_piece(&message, &mut have, piece.total, piece.bytes);
                let too_large = last && message.is_stub();
                (!too_large).then_some(have).ok_or(ErrorCode::FRAME_TOO_LARGE)
            });
            payload = piece.await??;
        }
        Ok(())
    }
}

impl GetMessageListResponse {
    const fn nothing_more() -> Self {
        Self {
            message_list: Vec::new(),
            next_req_message_id: NextReqMessageId::END,
            is_completed: true,
        }
    }
}
