//! CONVERSATION_PROFILE: one conversation with the profile of its group or user.

use super::Request;
use crate::ConversationId;
use crate::conversation::ConversationProfile;
use crate::wire::{FrameKind, wire};

wire! {
    /// CONVERSATION_PROFILE: one conversation of the list, with the profile of its group or user.
    #[derive(Debug)]
    pub struct GetConversationProfile {
        /// The conversation.
        pub conversation: ConversationId,
    }
}

impl Request for GetConversationProfile {
    const KIND: FrameKind = FrameKind::CONVERSATION_PROFILE;
    type Response<'a> = ConversationProfile<'a>;
}
