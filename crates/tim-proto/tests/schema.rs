//! The schema against postcard and JSON, on the types themselves: for every body, postcard's bytes are ours, and JSON gives
//! the same bytes back. The bodies are generated from random seeds.

use core::fmt::Debug;

use arbitrary::{Arbitrary, Unstructured};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, proptest};
use serde::{Deserialize, Serialize};
use tim_proto::conversation::{AtInfo, Conversation, ConversationProfile, GroupProfile, UserProfile};
use tim_proto::message::SystemNotice;
use tim_proto::message::{
    Audio, Content, Custom, Envelope, Face, File, GroupTip, Header, Image, ImageFormat, ImageInfo, ImageSize,
    Mentions, Muted, OfflinePush, Revocation, SendOptions, Text, Thumbnail, TipNames, Video, to_vec,
};
use tim_proto::request::{
    BanMembers, BeginUpload, BeginUploadResponse, CancelUpload, ChangeOwner, CompactCursor, CompactDeliver,
    CompactRest, ConversationChange, Conversations, ConversationsResponse, CreateGroup, CreateGroupResponse,
    DeleteConversation, Deliver, Delivery, DismissGroup, Done, Download, DownloadResponse, EndUpload,
    EndUploadResponse, Expiring, Failure, Fetch, FetchResponse, FileUrl, FileUrlResponse, Gap,
    GetConversationProfile, GetGroupProfile, GroupMember, GroupMembers, GroupMembersResponse, Groups,
    GroupsResponse, HandleApplication, HandleInvitation, History, HistoryResponse, InviteMembers, JoinGroup,
    JoinGroupResponse, Login, LoginResponse, Logout, MarkRead, MarkReadResponse, MemberOutcome,
    MembersResponse, QuitGroup, RegisterPush, RemoveMembers, Renew, RenewResponse, Revoke, RevokeResponse,
    Send, SendResponse, SetMember, SetReceiveOption, Synced, UnregisterPush, UpdateGroup, UpdateUserProfile,
    Upload, UploadResponse, UserProfiles, UserProfilesResponse,
};
use tim_proto::wire::{
    BufferTooSmall, Decode, Extension, List, arbitrary_body, decode_body, decode_prefix, encode_body,
    transcode,
};
use tim_proto::{Encoded, Message, MessageId};

/// What holds for every body.
fn check<'a, T: Decode<'a> + PartialEq + Debug>(body: &'a [u8], fields: &[&str]) -> T {
    let (value, behind) = decode_prefix::<T>(body).expect("a generated body");
    assert!(behind.is_empty());
    assert_eq!(to_vec(&value), body, "encoded again: {value:?}");
    assert_eq!(
        postcard::to_allocvec(&value).unwrap(),
        body,
        "postcard: {value:?}"
    );

    let json = serde_json::to_string(&value).unwrap();
    let transcoded = transcode::<T, _>(&mut serde_json::Deserializer::from_str(&json));
    assert_eq!(transcoded.unwrap(), body, "{json}");
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&json).unwrap();
    // The order of a map's keys depends on a feature of serde_json that any crate of the build may turn on.
    let mut names: Vec<&String> = object.keys().collect();
    names.sort_unstable();
    let mut fields = fields.to_vec();
    fields.sort_unstable();
    assert_eq!(names, fields);

    for available in 0..body.len() {
        let needed = body.len();
        let full = Err(BufferTooSmall { needed, available });
        assert_eq!(encode_body(&value, &mut vec![0; available]), full);
        // A part of a body is either an error or a body that was whole already.
        if let Ok((value, _)) = decode_prefix::<T>(&body[..available]) {
            assert!(to_vec(&value).len() <= available);
        }
    }
    value
}

fn check_open_ended<'a, T: Decode<'a> + PartialEq + Debug>(body: &'a [u8], _: &[u8], fields: &[&str]) {
    let _: T = check(body, fields);
}

/// What holds for a body that has `Deserialize`.
fn check_closed<'a, T>(body: &'a [u8], seed: &'a [u8], fields: &[&str])
where
    T: Decode<'a> + Deserialize<'a> + Arbitrary<'a> + PartialEq + Debug,
{
    let _: T = Unstructured::new(seed).arbitrary().unwrap();
    let value: T = check(body, fields);
    assert_eq!(postcard::from_bytes::<T>(body).unwrap(), value);
}

/// A test for each body, under its name.
macro_rules! every_body {
    ($($check:ident { $($name:ident $(<$lt:lifetime>)?,)+ })+) => {
        #[allow(non_snake_case)]
        mod every_body {
            use super::*;

            $(proptest! {
                #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
                $(#[test]
                fn $name(seed in vec(any::<u8>(), 0..1500)) {
                    let body = arbitrary_body::<super::$name $(<$lt>)?>(&mut Unstructured::new(&seed)).unwrap();
                    $check::<super::$name $(<$lt>)?>(&body, &seed, <super::$name $(<$lt>)?>::FIELDS);
                })+
            })+
        }

        const TESTED: &[&str] = &[$($(stringify!($name),)+)+];
    };
}

every_body! { check_closed {
    MessageId, Envelope, SendOptions<'_>, OfflinePush<'_>, Text<'_>, Image<'_>, ImageInfo<'_>, Audio<'_>,
    Video<'_>, Thumbnail<'_>, File<'_>, Custom<'_>, Face<'_>, GroupTip<'_>, TipNames<'_>, Muted,
    SystemNotice<'_>, Revocation<'_>, Mentions<'_>, Extension<'_>, Login<'_>, LoginResponse<'_>, Logout,
    Done, Revoke<'_>, RevokeResponse, History<'_>, HistoryResponse<'_>, MarkRead, MarkReadResponse,
    Conversations<'_>, ConversationsResponse<'_>, Conversation<'_>, AtInfo, GetConversationProfile,
    DeleteConversation, ConversationProfile<'_>, Fetch, FetchResponse<'_>, BeginUpload<'_>, BeginUploadResponse,
    Upload<'_>, UploadResponse, EndUpload, EndUploadResponse<'_>, CancelUpload, Download, DownloadResponse<'_>,
    FileUrl, FileUrlResponse<'_>, CreateGroup<'_>,
    CreateGroupResponse, JoinGroup<'_>, JoinGroupResponse, QuitGroup, DismissGroup, GetGroupProfile,
    HandleApplication<'_>, HandleInvitation<'_>, InviteMembers<'_>, RemoveMembers<'_>, BanMembers<'_>,
    MembersResponse<'_>, MemberOutcome, SetMember<'_>, ChangeOwner, UpdateGroup<'_>, SetReceiveOption,
    GroupMembers<'_>, GroupMembersResponse<'_>, GroupMember<'_>, Groups<'_>, GroupsResponse<'_>,
    GroupProfile<'_>, UserProfiles<'_>, UserProfilesResponse<'_>, UserProfile<'_>, UpdateUserProfile<'_>,
    Renew<'_>, RenewResponse, RegisterPush<'_>, UnregisterPush<'_>, Expiring, Failure<'_>, Gap, Synced<'_>, ConversationChange,
    CompactCursor<'_>, CompactRest,
} check_open_ended {
    Message<'_>, Header<'_>, Content<'_>, Send<'_>, SendResponse<'_>, Deliver<'_>, Delivery<'_>, CompactDeliver<'_>,
} }

#[test]
fn every_declared_body_is_tested() {
    let (mut seen, mut folders) = (0, vec![concat!(env!("CARGO_MANIFEST_DIR"), "/src").into()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir::<std::path::PathBuf>(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap();
            for (at, _) in source.match_indices("\nwire! {\n") {
                let (_, declared) = source[at..].split_once("pub struct ").unwrap();
                let name = declared.split(|c: char| !c.is_alphanumeric()).next().unwrap();
                let is_internal = name.starts_with("Unknown"); // parts of a payload and of a change in JSON
                assert!(is_internal || TESTED.contains(&name), "{name} has no test");
                seen += 1;
            }
        }
    }
    assert!(seen > 70, "only {seen} declarations found");
}

fn picture<'a>(images: &'a [ImageInfo<'a>]) -> Image<'a> {
    Image::new(ImageFormat::PNG, List::from_slice(images)).with_uuid("x")
}

fn info(size_type: ImageSize) -> ImageInfo<'static> {
    ImageInfo::new(size_type)
        .with_instance(7)
        .with_size(300)
        .with_width(20)
        .with_height(10)
        .with_url("https://h/\"\\\n")
}

#[test]
fn a_list_of_a_slice_is_the_list_of_its_bytes() {
    let infos = [info(ImageSize::ORIGINAL), info(ImageSize(99))];
    let made = picture(&infos);
    let body = to_vec(&made);
    let read: Image<'_> = decode_body(&body).unwrap();
    assert_eq!(read, made);
    assert_eq!(postcard::to_allocvec(&made).unwrap(), body);
    assert_eq!(postcard::to_allocvec(&read).unwrap(), body);
    assert_eq!(
        serde_json::to_value(made).unwrap(),
        serde_json::to_value(read).unwrap()
    );
}

#[test]
fn postcard_reads_a_body_in_place() {
    let infos = [info(ImageSize::ORIGINAL)];
    let body = to_vec(&picture(&infos));
    let read: Image<'_> = postcard::from_bytes(&body).unwrap();
    assert_eq!(read, picture(&infos));
    let url = read.images.iter().next().unwrap().url;
    assert!(
        body.as_ptr_range().contains(&url.as_ptr()),
        "the string is borrowed"
    );
    let mut longer = body.clone();
    longer.extend([9, 1, 0]); // an extension
    assert_eq!(postcard::from_bytes::<Image<'_>>(&longer).unwrap(), read);
    assert!(postcard::from_bytes::<Image<'_>>(&body[..body.len() - 1]).is_err());
    let mut broken = body.clone();
    *broken.last_mut().unwrap() = 0xff; // in the last item's string
    assert!(
        postcard::from_bytes::<Image<'_>>(&broken).is_err(),
        "items are checked"
    );
}

#[test]
fn json_is_borrowed_where_that_is_possible_and_refused_where_not() {
    let text: Text<'_> = serde_json::from_str(r#"{"text": "hi"}"#).unwrap();
    assert_eq!(text.text, "hi");
    let refused = |json| serde_json::from_str::<Text<'_>>(json).unwrap_err().to_string();
    assert!(refused(r#"{}"#).contains("missing field `text`"));
    assert!(refused(r#"{"text": "", "more": 1}"#).contains("unknown field `more`, expected `text`"));

    let history = r#"{"conversation": "C2Cbob", "next": "00ff", "count": 3}"#;
    let error = serde_json::from_str::<History<'_>>(history).unwrap_err();
    assert!(
        error.to_string().contains("cannot be borrowed from text"),
        "{error}"
    );
    let list = serde_json::to_string(&picture(&[])).unwrap();
    assert!(serde_json::from_str::<Image<'_>>(&list).is_err());
    let update: UpdateUserProfile<'_> = serde_json::from_str(r#"{"nick": "Al"}"#).unwrap();
    assert_eq!(
        (update.nick, update.avatar),
        (Some("Al"), None),
        "what is absent is none"
    );
}

#[test]
fn what_json_says_is_checked_when_it_is_transcoded() {
    fn error<'a, T: Decode<'a>>(json: &str) -> String {
        let body = transcode::<T, _>(&mut serde_json::Deserializer::from_str(json));
        body.unwrap_err().to_string()
    }
    assert!(error::<History<'_>>(r#"{"conversation": "Bbob"}"#).contains("a conversation id is"));
    let odd = r#"{"conversation": "C2Cbob", "next": "0f0", "count": 3}"#;
    assert!(error::<History<'_>>(odd).contains("expected hexadecimal digits"));
    assert!(error::<UserProfiles<'_>>(r#"{"users": ["bob", ""]}"#).contains("the id is empty"));
    assert!(error::<Face<'_>>(r#"{"index": 4294967296, "data": ""}"#).contains("4294967296"));
    assert!(error::<Face<'_>>(r#"{"index": 1}"#).contains("missing field `data`"));
    assert!(error::<JoinGroupResponse>(r#"{"status": 256}"#).contains("256"));
    let number =
        transcode::<JoinGroupResponse, _>(&mut serde_json::Deserializer::from_str(r#"{"status": 77}"#));
    assert_eq!(number.unwrap(), [77], "a number without a name");
    let binary = transcode::<Face<'_>, _>(&mut postcard::Deserializer::from_bytes(&[1, 0]));
    assert!(binary.is_err(), "a binary format is not transcoded");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_owned_message_comes_back_from_json_and_from_postcard(seed in vec(any::<u8>(), 0..1500)) {
        let message: Encoded<Vec<u8>> = Unstructured::new(&seed).arbitrary().unwrap();
        let json = serde_json::to_string(&message).unwrap();
        assert_eq!(serde_json::from_str::<Encoded<Vec<u8>>>(&json).unwrap(), message, "{json}");
        assert_eq!(json, serde_json::to_string(&message.message()).unwrap());
        let postcard = postcard::to_allocvec(&message).unwrap();
        assert_eq!(postcard::from_bytes::<Encoded<Vec<u8>>>(&postcard).unwrap(), message);
    }
}

#[test]
fn a_field_that_json_has_twice_is_refused() {
    let twice = r#"{"text": "a", "text": "b"}"#;
    let read = serde_json::from_str::<Text<'_>>(twice).unwrap_err();
    assert!(read.to_string().contains("duplicate field `text`"), "{read}");
    let transcoded = transcode::<Text<'_>, _>(&mut serde_json::Deserializer::from_str(twice)).unwrap_err();
    assert!(
        transcoded.to_string().contains("duplicate field `text`"),
        "{transcoded}"
    );
}

#[test]
fn integers_at_every_length() {
    let edges = (0..64)
        .flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit, (1 << bit) + 1])
        .chain([u64::MAX]);
    for value in edges {
        let bytes = to_vec(&value);
        assert_eq!(bytes, postcard::to_allocvec(&value).unwrap());
        fn read<'a, T: Decode<'a>>(bytes: &'a [u8]) -> Option<T> {
            decode_prefix::<T>(bytes).ok().map(|(value, _)| value)
        }
        assert_eq!(read::<u64>(&bytes), postcard::from_bytes(&bytes).ok());
        assert_eq!(read::<u32>(&bytes), u32::try_from(value).ok());
        assert_eq!(read::<u16>(&bytes), u16::try_from(value).ok());
    }
}

/// Every body has these; a hash table of messages, say, needs no wrapper.
#[test]
fn bodies_are_values() {
    fn value<T: Copy + Eq + core::hash::Hash + Debug + Serialize + core::marker::Send + Sync + 'static>() {}
    value::<Message<'_>>();
    value::<Header<'_>>();
    value::<tim_proto::Payload<'_>>();
    value::<GroupTip<'_>>();
    value::<Mentions<'_>>();
    value::<HistoryResponse<'_>>();
    value::<ConversationProfile<'_>>();
    value::<Send<'_>>();
    value::<Encoded<&[u8]>>();
}
