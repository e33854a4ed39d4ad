//! The calls of the documented API, by what they are about.

mod conversations;
mod create;
mod groups;
mod history;
mod send;

pub use conversations::{
    DeleteConversationResponse, GetConversationListResponse, GetConversationProfileResponse,
    SetMessageReadResponse,
};
pub use groups::{CreateGroup, CreateGroupResponse};
pub use history::{GetMessageListResponse, NextReqMessageId, NextReqMessageIdError};
pub use send::SendMessageResponse;
