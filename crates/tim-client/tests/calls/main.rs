//! Every call, once as it should go and once refused, against a scripted hub.

mod downloads;
mod files;
mod lists;
mod login;
mod resending;
mod sending;
#[path = "../support/mod.rs"]
mod support;
mod uploads;

use support::*;
use tim_client::proto::request::{ConversationsResponse, SendResponse};
use tim_client::proto::wire::FrameKind;

const STORED: SendResponse<'static> = SendResponse::new(12, 1_705_307_415);

/// The response to a message that is not stored.
const PASSED_ON: SendResponse<'static> = SendResponse::new(0, 1_705_307_415);

/// The next request that is not for the conversation list, which the client asks for when it likes; that is empty.
async fn asked_beside_lists(hub: &mut HubEnd) -> Incoming {
    loop {
        let asked = hub.next_request().await;
        if asked.kind != FrameKind::CONVERSATIONS {
            return asked;
        }
        let list = ConversationsResponse::new(Default::default()).with_completed(true);
        hub.answer(&asked, &list).await;
    }
}
