#![doc = include_str!("../README.md")]

mod actor;
mod builder;
mod bus;
mod call;
mod calls;
mod client;
mod conversation;
mod error;
mod event;
mod files;
mod handlers;
mod message;
mod options;
mod profile;
mod shared;
mod state;
mod system;
mod trace;

pub use builder::ClientBuilder;
pub use bus::EventStream;
pub use calls::*;
pub use client::{Client, LoginResponse};
pub use conversation::{Conversation, ConversationProfile};
pub use error::ImError;
pub use event::{Event, EventKind, NetState, NotReadyReason, net_state_name};
pub use files::{
    AudioMetadata, Download, DownloadReader, FileUrlResponse, Progress, Source, UploadSource, VideoMetadata,
};
pub use handlers::HandlerId;
pub use message::{Flow, MENTION_ALL, Message, Status};
pub use options::{OfflinePush, SendOptions};
pub use profile::{GroupMember, GroupProfile, UserProfile};
pub use tim_proto as proto;
pub use tim_proto::conversation::AtInfo;
pub use tim_proto::message::{Custom, Payload};
pub use tim_proto::request::{FilePart, Gap, MemberOutcome};
pub use tim_proto::vendor::limits::Limits;
pub use tim_proto::{
    AtKind, ConversationId, ConversationType, ErrorCode, GroupId, GroupType, InviteOption, JoinOption,
    JoinStatus, MemberResult, MessageId, MessageKind, Platform, Priority, ReceiveOption, Role, UserId,
};
pub use tim_transport_std as transport;
