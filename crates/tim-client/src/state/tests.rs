//! The state, driven without a runtime, a clock or a connection.

use tim_proto::conversation as wire;
use tim_proto::message::{Envelope, MessageFlags, Payload, Text, to_vec};
use tim_proto::request::{ConversationsResponse, Failure, FetchResponse, RawResponse};
use tim_proto::wire::{Encode, FrameKind, List};
use tim_proto::{MessageId, MessageKind};
use tim_transport_std::session::NetState;

use tim_testkit::user;

use super::*;

const ACCOUNT: u64 = 77;

/// A state, a time, and the hub's part of the conversation.
struct Driven {
    state: State,
    now: Instant,
}

impl Driven {
    fn new() -> Self {
        let me = user("alice");
        let config = Config {
            user: me,
            device: 7,
            conversations: 100,
            fetch_piece: 4,
            capacity: 256,
        };
        Self {
            state: State::new(config, Arc::new(Messages::new(me)), Arc::default()),
            now: Instant::from_millis(1000),
        }
    }

    /// Logged in and ready, with this list; all effects so far are taken.
    fn ready(list: &[wire::Conversation<'_>]) -> Self {
        let mut driven = Self::new();
        driven.state.begin_login();
        driven.log_in();
        driven.state.handle(&SessionEvent::Ready);
        assert_eq!(driven.query(), Some(Query::Conversations { next: Vec::new() }));
        driven.answer_list(list);
        driven.effects();
        driven
    }

    fn log_in(&mut self) {
        self.state.handle(&SessionEvent::LoggedIn(
            request::LoginResponse::new(ACCOUNT)
                .with_time_ms(1_000)
                .with_cursor(&[9])
                .with_nick("Alice"),
        ));
    }

    fn moment(&self) -> Moment {
        Moment {
            now: self.now,
            has_listeners: true,
        }
    }

    /// The next query, which is sent.
    fn query(&mut self) -> Option<Query> {
        let query = self.state.poll_query(self.moment())?;
        self.state.query_sent(&query);
        Some(query)
    }

    fn answer(&mut self, query: &Query, kind: FrameKind, response: &dyn Encode) {
        let body = to_vec(response);
        let response = Ok(RawResponse::new(kind, &body));
        self.state.query_done(self.now, query, response);
    }

    fn answer_list(&mut self, list: &[wire::Conversation<'_>]) {
        let response = ConversationsResponse::new(List::from_slice(list))
            .with_completed(true)
            .with_total_unread(list.iter().map(|one| u64::from(one.unread)).sum());
        let query = Query::Conversations { next: Vec::new() };
        self.answer(&query, FrameKind::CONVERSATIONS, &response);
    }

    fn deliver(&mut self, cursor: &[u8], message: &tim_proto::Message<'_>) {
        let encoded = message.to_encoded();
        self.state
            .handle(&SessionEvent::Delivered(Delivery::new(cursor, 0, &encoded)));
    }

    /// What there is to do now, in words.
    fn effects(&mut self) -> Vec<String> {
        assert_eq!(self.state.poll_query(self.moment()), None);
        self.state.publish_updates(self.moment());
        std::iter::from_fn(|| self.state.poll_effect())
            .map(|effect| in_words(&effect))
            .collect()
    }

    fn wait_until(&mut self, ms: u64) {
        self.now = Instant::from_millis(ms);
    }
}

fn in_words(effect: &Effect) -> String {
    let of_event = |event: &Event| match event {
        Event::MessageReceived(messages) => {
            let texts: Vec<_> = messages.iter().map(|one| one.text().unwrap_or("-")).collect();
            format!("received {}", texts.join(" "))
        }
        Event::ConversationListUpdated(list) => {
            let counts: Vec<_> = list
                .iter()
                .map(|one| format!("{}:{}", one.id, one.unread_count))
                .collect();
            format!("list {}", counts.join(" "))
        }
        Event::TotalUnreadMessageCountUpdated(total) => format!("total {total}"),
        other => other.name().to_owned(),
    };
    match effect {
        Effect::Publish(event) => of_event(event),
        Effect::Delivered { event, mark } => {
            let event = event.as_ref().map_or_else(|| "nothing".to_owned(), of_event);
            format!("{event} through {} {:?}", mark.through, mark.cursor)
        }
        Effect::Status(status) => format!("{:?} ready {}", status.stage, status.ready),
        Effect::TotalUnread(total) => format!("={total}"),
        Effect::LoggedIn { account, cursor, .. } => format!("account {account} {cursor:?}"),
        Effect::LoginDone(result) => format!("login {}", result.is_ok()),
        Effect::ListDone(waiter, result) => match result {
            Ok(response) => format!("list for {}: {}", waiter.0, response.conversation_list.len()),
            Err(error) => format!("no list for {}: {}", waiter.0, error.code.0),
        },
        Effect::Session(SessionEffect::UseUserSig(user_sig)) => format!("use {user_sig}"),
        Effect::Session(SessionEffect::LogOut) => "log out".to_owned(),
    }
}

fn text<'a>(sequence: u64, text: &'a str) -> tim_proto::Message<'a> {
    tim_proto::Message::new(
        Envelope::new(user("bob"))
            .with_sequence(sequence)
            .with_time(1000 + sequence)
            .with_origin(99),
        ConversationId::C2c(user("alice")),
        MessageId {
            sender: 5,
            client_time: 1000,
            random: sequence as u32,
        },
        Payload::Text(Text::new(text)),
    )
    .with_client_sequence(sequence)
}

fn listed<'a>(unread: u32, last_sequence: u64) -> wire::Conversation<'a> {
    wire::Conversation::new(ConversationId::C2c(user("bob")))
        .with_unread(unread)
        .with_read_sequence(last_sequence - u64::from(unread))
        .with_last_sequence(last_sequence)
        .with_name("Bob")
}

#[test]
fn a_login_becomes_effects_in_order() {
    let mut driven = Driven::new();
    driven.state.begin_login();
    driven.state.handle(&SessionEvent::NetState(NetState::Connecting));
    driven.log_in();
    driven.state.handle(&SessionEvent::Ready);
    assert!(!driven.state.status().ready, "what waited at the hub comes first");
    let query = driven.query().unwrap();
    assert_eq!(query, Query::Conversations { next: Vec::new() });
    driven.answer_list(&[listed(2, 5)]);
    assert_eq!(
        driven.effects(),
        [
            "LoggingIn ready false",
            "netStateChange",
            "account 77 [9]",
            "LoggedIn ready false",
            "login true",
            "LoggedIn ready true",
            "sdkStateReady",
            "=2",
            "total 2",
            "list C2Cbob:2",
        ]
    );
}

#[test]
fn messages_are_batched_and_the_total_comes_before_them() {
    let mut driven = Driven::ready(&[listed(2, 5)]);
    driven.wait_until(5000);
    driven.deliver(&[1], &text(6, "six"));
    driven.deliver(&[2], &text(7, "seven"));
    let published = driven.effects();
    assert_eq!(
        published,
        [
            "=3",
            "=4",
            "total 4",
            "received six seven through 2 Some([2])",
            "list C2Cbob:4"
        ]
    );
}

#[test]
fn changes_within_a_second_are_published_at_its_end() {
    let mut driven = Driven::ready(&[listed(0, 5)]);
    driven.wait_until(5000);
    driven.deliver(&[1], &text(6, "a"));
    driven.effects();
    assert_eq!(driven.state.deadline(driven.now), None);
    driven.wait_until(5300);
    driven.deliver(&[2], &text(7, "b"));
    driven.deliver(&[3], &text(8, "c"));
    assert_eq!(
        driven.effects(),
        ["=2", "=3", "received b c through 3 Some([3])"],
        "lists and totals are held back, messages are not"
    );
    assert_eq!(
        driven.state.deadline(driven.now),
        Some(Instant::from_millis(6000))
    );
    driven.wait_until(6000);
    assert_eq!(driven.effects(), ["total 3", "list C2Cbob:3"]);
}

#[test]
fn a_stub_is_fetched_before_what_comes_behind_it_is_published() {
    let mut driven = Driven::ready(&[listed(0, 5)]);
    let mut stub = text(6, "");
    stub.envelope.flags |= MessageFlags::STUB;
    stub.payload = Payload::Unknown(MessageKind::TEXT, &[]);
    driven.deliver(&[1], &stub);
    driven.deliver(&[2], &text(7, "behind"));
    let payload = to_vec(&Text::new("whole"));
    let mut offset = 0;
    while offset < payload.len() {
        let query = driven.query().expect("a piece");
        assert!(
            matches!(&query, Query::Piece(fetch) if fetch.offset as usize == offset),
            "{query:?}"
        );
        assert_eq!(driven.query(), None, "one piece at a time");
        let end = (offset + 4).min(payload.len());
        let piece = FetchResponse::new(payload.len() as u32, &payload[offset..end]);
        driven.answer(&query, FrameKind::FETCH, &piece);
        offset = end;
    }
    driven.wait_until(5000);
    let published = driven.effects();
    assert!(
        published.contains(&"received whole behind through 2 Some([2])".to_owned()),
        "{published:?}"
    );
}

#[test]
fn a_list_that_is_refused_is_requested_again_after_a_pause() {
    let mut driven = Driven::ready(&[]);
    driven.state.list(10, Waiter(1));
    let query = driven.query().expect("the list");
    let busy = Failure::new(ErrorCode::OUTBOX_FULL, "").with_retry_after_ms(3000);
    driven.state.query_done(driven.now, &query, Err(busy.into()));
    let failed = format!("no list for 1: {}", ErrorCode::OUTBOX_FULL.0);
    assert_eq!(driven.effects(), [failed]);
    driven.wait_until(2000);
    assert!(driven.effects().is_empty(), "the total has not changed");
    assert_eq!(
        driven.state.deadline(driven.now),
        Some(Instant::from_millis(4000))
    );
    driven.wait_until(4000);
    assert_eq!(driven.query(), Some(query));
    driven.state.list(10, Waiter(2));
    driven.answer_list(&[listed(1, 1)]);
    assert_eq!(
        driven.query(),
        Some(Query::Conversations { next: Vec::new() }),
        "asked for later"
    );
    driven.answer_list(&[listed(1, 1)]);
    assert!(driven.effects().contains(&"list for 2: 1".to_owned()));
}

#[test]
fn the_list_is_requested_when_a_change_was_made_behind_its_deadline() {
    let mut driven = Driven::ready(&[listed(0, 5)]);
    let late = |kind| SessionEvent::Late { kind };
    driven.state.handle(&late(FrameKind::HISTORY));
    assert_eq!(driven.query(), None);
    driven.state.handle(&late(FrameKind::SEND));
    assert_eq!(driven.query(), Some(Query::Conversations { next: Vec::new() }));
    // The response may be older than what comes late now.
    driven.state.handle(&late(FrameKind::MARK_READ));
    driven.answer_list(&[listed(0, 6)]);
    assert_eq!(driven.query(), Some(Query::Conversations { next: Vec::new() }));
    driven.answer_list(&[listed(0, 6)]);
    assert_eq!(driven.query(), None);
}

#[test]
fn what_was_revoked_in_a_history_that_is_lost_comes_again_as_it_was() {
    let mut driven = Driven::ready(&[listed(0, 5)]);
    let sent = text(6, "six").to_encoded();
    let held = driven.state.messages.instance(&sent.header());
    held.mark_revoked(&RevokedBy::new("bob"));
    driven.deliver(&[1], &text(6, "six"));
    driven.wait_until(5000);
    assert!(
        !driven.effects().contains(&"total 1".to_owned()),
        "it stays revoked"
    );

    driven.state.handle(&SessionEvent::Gap(request::Gap::RESTORED));
    driven.deliver(&[2], &text(6, "six"));
    let _ = driven.query();
    driven.answer_list(&[listed(0, 5)]);
    driven.wait_until(9000);
    driven.effects();
    assert_eq!(driven.state.total_unread, 1);
    assert!(held.is_revoked() && !driven.state.messages.instance(&sent.header()).is_revoked());
}

#[test]
fn the_cursor_that_is_kept_covers_what_was_sent_behind_what_is_processed() {
    let mut driven = Driven::ready(&[listed(0, 5)]);
    driven.wait_until(5000);
    driven.deliver(&[1], &text(6, "six"));
    driven.state.passed(&[1]);
    driven.state.passed(&[2]);
    let received = "received six through 1 Some([2])".to_owned();
    assert!(driven.effects().contains(&received));
    driven.state.passed(&[2]);
    assert_eq!(driven.effects(), [""; 0]);
    driven.state.passed(&[3]);
    assert_eq!(driven.effects(), ["nothing through 1 Some([3])"]);
    // Behind a stub that waits for its payload it has to wait as well.
    let mut stub = text(7, "");
    stub.envelope.flags |= MessageFlags::STUB;
    stub.payload = Payload::Unknown(MessageKind::TEXT, &[]);
    driven.deliver(&[4], &stub);
    driven.state.passed(&[5]);
    assert!(matches!(driven.query(), Some(Query::Piece(_))));
    assert_eq!(driven.effects(), [""; 0]);
}

#[test]
fn the_cursor_behind_a_gap_waits_until_it_is_processed() {
    for gap in [
        request::Gap::RESTORED,
        request::Gap::new(ConversationId::C2c(user("bob")), 2, 4),
    ] {
        let mut driven = Driven::ready(&[listed(0, 5)]);
        driven.wait_until(5000);
        driven.deliver(&[1], &text(6, "six"));
        driven.state.passed(&[1]);
        driven.effects();
        driven.state.handle(&SessionEvent::Gap(gap));
        driven.state.passed(&[2]);
        let _ = driven.query();
        driven.answer_list(&[listed(0, 5)]);
        let effects = driven.effects();
        let at = |told: &str| effects.iter().position(|effect| effect.contains(told));
        let told = at("through 2 None").expect("the gap is the second that the cursor waits for");
        assert!(
            at("nothing through 2 Some([2])").is_some_and(|passed| passed > told),
            "{effects:?}"
        );
    }
}

#[test]
fn what_was_persisted_as_revoked_is_shown_as_the_hub_has_it() {
    let driven = Driven::ready(&[]);
    let messages = &driven.state.messages;
    let (sent, mut revoked) = (text(6, "six").to_encoded(), text(6, "six"));
    revoked.envelope.flags |= MessageFlags::REVOKED;
    let revoked = revoked.to_encoded();
    let persisted = crate::message::Persisted {
        created_here: false,
        status: crate::Status::Success,
        resend: false,
        options: crate::SendOptions::default(),
        attachment: None,
    };
    let kept = messages.restore(&revoked.header(), persisted);
    assert!(kept.is_revoked() && messages.instance(&revoked.header()).is_revoked());
    assert!(!messages.instance(&sent.header()).is_revoked());
    // What this client has heard of stays: an answer may be older.
    let kept = messages.instance(&sent.header());
    kept.mark_revoked(&RevokedBy::new("bob"));
    assert!(messages.instance(&sent.header()).is_revoked());
}

#[test]
fn a_revoked_message_that_is_stored_once_more_is_another_one() {
    let driven = Driven::ready(&[]);
    let messages = &driven.state.messages;
    let held = messages.instance(&text(6, "six").to_encoded().header());
    held.mark_revoked(&RevokedBy::new("bob"));
    // The hub has forgotten the id, and its sender sends the same message again.
    let mut again = text(6, "six");
    again.envelope.sequence = 9;
    let again = messages.instance(&again.to_encoded().header());
    assert!(held.is_revoked() && held.sequence() == 6);
    assert!(!again.is_revoked() && again.sequence() == 9);
}

#[test]
fn a_malformed_response_counts_as_a_failure() {
    let mut driven = Driven::ready(&[]);
    driven.state.list(10, Waiter(1));
    let query = driven.query().expect("the list");
    driven.answer(&query, FrameKind::CONVERSATIONS, &true);
    let failed = format!("no list for 1: {}", Failure::MALFORMED.code.0);
    assert_eq!(driven.effects(), [failed]);
}

#[test]
fn a_first_login_ends_when_the_peer_is_no_hub_and_a_later_one_goes_on() {
    let mut driven = Driven::new();
    let no_hub = SessionEvent::TurnedAway(Failure::new(ErrorCode::NOT_A_HUB, ""));
    driven.state.begin_login();
    driven.state.handle(&no_hub);
    let ended = format!("Ended({:?}) ready false", ErrorCode::LOGIN_FAILED);
    assert_eq!(
        driven.effects(),
        ["LoggingIn ready false", &ended, "login false", "log out"]
    );

    let mut driven = Driven::ready(&[]);
    driven.state.handle(&no_hub);
    assert!(driven.effects().is_empty());
}

#[test]
fn a_refused_user_sig_gives_way_to_the_accepted_one() {
    let mut driven = Driven::ready(&[]);
    driven.state.user_sig_set("second".into(), "first".into());
    let refused = ImError::from(ErrorCode::ACCOUNT_USERSIG_EXPIRED);
    driven.state.user_sig_answered("second".into(), Some(&refused));
    assert_eq!(driven.effects(), ["use first"]);
}

/// Bytes besides those of the message: the instance, its registration, the cursor, the queue's entry.
const OVERHEAD: u64 = 4096;

#[test]
fn a_received_message_is_copied_once() {
    let mut driven = Driven::ready(&[listed(0, 5)]);
    let long = "x".repeat(100_000);
    let encoded = text(6, &long).to_encoded();
    let delivered = SessionEvent::Delivered(Delivery::new(&[1], 0, &encoded));
    let received = allocation_counter::measure(|| {
        driven.state.handle(&delivered);
        assert_eq!(driven.state.poll_query(driven.moment()), None);
        driven.state.publish_updates(driven.moment());
    });
    let len = encoded.as_bytes().len() as u64;
    assert!(
        (len..len + OVERHEAD).contains(&received.bytes_total),
        "{received:?} for {len} bytes"
    );
}

#[test]
fn a_sent_message_is_encoded_once_and_its_bytes_go_into_the_frame() {
    let long = "x".repeat(100_000);
    let made = text(0, &long);
    let mut message = None;
    let created = allocation_counter::measure(|| message = Some(Message::created(&made, None)));
    let (message, len) = (message.unwrap(), long.len() as u64);
    assert!(
        (len..len + OVERHEAD).contains(&created.bytes_total),
        "{created:?}"
    );

    let mut frame = vec![0; long.len() + 1024];
    let sent = allocation_counter::measure(|| {
        let outgoing = message.outgoing();
        tim_proto::wire::encode_body(&outgoing, &mut frame).unwrap();
    });
    assert_eq!(sent.bytes_total, 0, "{sent:?}");
    let sent = decode_body::<request::Send<'_>>(&frame[..tim_proto::wire::encoded_len(&message.outgoing())]);
    assert_eq!(sent.unwrap().content.payload, to_vec(&made.payload));
}
