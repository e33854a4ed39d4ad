//! What the store has, as it is on the wire. Contents are passed on byte for byte.

use bytes::Bytes;
use tim_proto::conversation::{
    Conversation as WireConversation, ConversationProfile, GroupProfile, UserProfile,
};
use tim_proto::message::{Envelope, GroupTip, Header, MessageFlags, TipNames, to_vec};
use tim_proto::wire::{Encode, List, Writer, decode_body};
use tim_proto::{GroupType, ReceiveOption, Role};

use tim_store::{About, Conversation, Entry, Group, Membership};

/// Bytes that are encoded already.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Raw<'a>(pub(crate) &'a [u8]);

impl Encode for Raw<'_> {
    fn encode(&self, writer: &mut Writer<'_>) {
        writer.put(self.0);
    }
}

/// The message of a stored entry: the envelope and the content as the sender wrote it.
pub(crate) fn message(entry: &Entry) -> Bytes {
    enveloped(&envelope(entry), &entry.content)
}

/// A content in its envelope.
pub(crate) fn enveloped(envelope: &Envelope, content: &[u8]) -> Bytes {
    struct Message<'a>(&'a Envelope, &'a [u8]);
    impl Encode for Message<'_> {
        fn encode(&self, writer: &mut Writer<'_>) {
            self.0.encode(writer);
            writer.put(self.1);
        }
    }
    to_vec(&Message(envelope, content)).into()
}

fn envelope(entry: &Entry) -> Envelope {
    Envelope::new(entry.sender)
        .with_sequence(entry.sequence)
        .with_time(entry.time_ms / 1000)
        .with_flags(entry.flags.on_wire())
        .with_origin(entry.origin)
}

/// A tip without the names of its users: for receivers that cannot take it with them. `None` if it is no tip.
pub(crate) fn nameless_tip(message: &[u8]) -> Option<Vec<u8>> {
    let header: Header<'_> = decode_body(message).ok()?;
    let tip = header
        .payload::<GroupTip<'_>>()?
        .with_operator(TipNames::default())
        .with_names(List::default());
    let payload = to_vec(&tip);
    let content = header.content.with_payload(&payload);
    Some(to_vec(&Header::new(header.envelope, content)))
}

/// The message without its payload, and how long the payload is: for receivers that cannot take it whole.
pub(crate) fn stub(message: &[u8]) -> Option<(Vec<u8>, u32)> {
    stub_of(decode_body(message).ok()?)
}

/// The stub without the extensions, such as the sender's names: for receivers that cannot take those either.
pub(crate) fn bare_stub(message: &[u8]) -> Option<(Vec<u8>, u32)> {
    let mut header: Header<'_> = decode_body(message).ok()?;
    header.content.extensions = Default::default();
    stub_of(header)
}

fn stub_of(header: Header<'_>) -> Option<(Vec<u8>, u32)> {
    let len = u32::try_from(header.content.payload.len()).ok()?;
    let flags = header.envelope.flags | MessageFlags::STUB;
    let stub = Header::new(
        header.envelope.with_flags(flags),
        header.content.with_payload(&[]),
    );
    Some((to_vec(&stub), len))
}

/// A message that fits into `max` bytes: itself, or its stub.
pub(crate) fn fitted(message: Bytes, max: usize) -> Bytes {
    if message.len() <= max {
        message
    } else {
        let stubs = [stub(&message), bare_stub(&message)].into_iter().flatten();
        let shorter = nameless_tip(&message).into_iter();
        let mut stubs: Vec<_> = shorter.chain(stubs.map(|(stub, _)| stub)).collect();
        // None fits: the shortest, for the caller to do without.
        let fits = stubs.iter().position(|stub| stub.len() <= max);
        let chosen = fits.map(|at| stubs.swap_remove(at)).or_else(|| stubs.pop());
        chosen.map_or(message, Bytes::from)
    }
}

/// A [`HistoryResponse`](tim_proto::request::HistoryResponse) whose messages are encoded already.
pub(crate) struct HistoryBody<'a> {
    pub(crate) next: &'a [u8],
    pub(crate) completed: bool,
    pub(crate) messages: List<'a, Raw<'a>>,
}

impl Encode for HistoryBody<'_> {
    fn encode(&self, writer: &mut Writer<'_>) {
        self.next.encode(writer);
        self.completed.encode(writer);
        self.messages.encode(writer);
    }
}

/// A conversation on the wire.
pub(crate) fn conversation<'a>(
    from: &'a Conversation,
    last_message: Option<&'a [u8]>,
) -> WireConversation<'a> {
    let (name, avatar, group_type) = match &from.about {
        About::Peer(account) => (account.nick.as_str(), account.avatar.as_str(), GroupType(0)),
        About::Group(group, _) => (group.name.as_str(), group.avatar.as_str(), group.group_type),
        About::System => ("", "", GroupType(0)),
    };
    let receive_option = match &from.about {
        About::Group(_, membership) => membership.receive_option,
        _ => ReceiveOption::ACCEPT_AND_NOTIFY,
    };
    let mut to = WireConversation::new(from.id)
        .with_unread(u32::try_from(from.unread).unwrap_or(u32::MAX))
        .with_read_sequence(from.read_sequence)
        .with_last_sequence(from.head_sequence)
        .with_name(name)
        .with_avatar(avatar)
        .with_group_type(group_type)
        .with_receive_option(receive_option)
        .with_at(List::from_slice(&from.at));
    to.last_message = last_message;
    to
}

/// Everything about a conversation.
pub(crate) fn profile<'a>(
    from: &'a Conversation,
    last_message: Option<&'a [u8]>,
    group: Option<GroupProfile<'a>>,
) -> ConversationProfile<'a> {
    let mut profile = ConversationProfile::new(conversation(from, last_message));
    profile.group = group;
    if let About::Peer(account) = &from.about {
        let user = UserProfile::new(account.user)
            .with_nick(&account.nick)
            .with_avatar(&account.avatar);
        profile.user = Some(user);
    }
    profile
}

/// A group as it appears to a user with this membership, or with none.
pub(crate) fn group_profile<'a>(
    group: &'a Group,
    membership: Option<&'a Membership>,
    max_members: u32,
) -> GroupProfile<'a> {
    GroupProfile::new(group.group, group.group_type, group.owner)
        .with_name(&group.name)
        .with_introduction(&group.introduction)
        .with_notification(&group.notification)
        .with_avatar(&group.avatar)
        .with_member_count(u32::try_from(group.member_count).unwrap_or(u32::MAX))
        .with_created(group.created_ms / 1000)
        .with_role(membership.map_or(Role(0), |membership| membership.role))
        .with_join_option(group.join_option)
        .with_invite_option(group.invite_option)
        .with_mute_all(group.mute_all)
        .with_max_members(max_members)
        .with_receive_option(
            membership.map_or_else(ReceiveOption::default, |membership| membership.receive_option),
        )
        .with_muted_until(membership.map_or(0, |membership| membership.muted_until_ms / 1000))
        .with_name_card(membership.map_or("", |membership| &membership.name_card))
}

#[cfg(test)]
mod tests {
    use tim_proto::wire::{Extensions, LEAST_MAX_FRAME, MAX_FRAME_HEADER_LEN, encoded_len};
    use tim_proto::{ConversationId, GroupId, MessageId, MessageKind, Priority, UserId};

    use super::*;
    use tim_store::Cursor;

    /// Every number at its longest, and every id.
    #[test]
    fn the_longest_stub_fits_into_the_smallest_frame() {
        let extension = [&[64, 100][..], &[b'x'; 100]].concat();
        let header = Header::new(
            Envelope::new(UserId::new(&"u".repeat(UserId::MAX_LEN)).unwrap())
                .with_sequence(u64::MAX)
                .with_time(u64::MAX)
                .with_flags(MessageFlags(u32::MAX))
                .with_origin(u64::MAX),
            tim_proto::message::Content::new(
                ConversationId::Group(GroupId::new(&"g".repeat(GroupId::MAX_LEN)).unwrap()),
                MessageId {
                    sender: u64::MAX,
                    client_time: u64::MAX,
                    random: u32::MAX,
                },
                MessageKind(u16::MAX),
                &[0; 1000],
            )
            .with_client_sequence(u64::MAX)
            .with_priority(Priority(u8::MAX))
            .with_extensions(Extensions::new(&extension).unwrap()),
        );
        let (stub, _) = bare_stub(&to_vec(&header)).unwrap();
        let cursor = Cursor {
            epoch: u64::MAX,
            change: u64::MAX,
            known: u64::MAX,
        }
        .to_bytes();
        let cursor = encoded_len(&cursor.as_ref());
        let len = MAX_FRAME_HEADER_LEN + cursor + encoded_len(&u32::MAX) + stub.len();
        assert!(len <= LEAST_MAX_FRAME as usize, "{len}");
    }
}
