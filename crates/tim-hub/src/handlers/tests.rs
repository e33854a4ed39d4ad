//! Handlers without a link: a hub on a temporary directory, client contexts, and requests.

use std::sync::Arc;
use std::time::Duration;

use tim_proto::vendor::limits::Limits;
use tim_proto::wire::{FrameKind, List};
use tim_proto::{ConversationId, GroupType, Message, MessageId, UserId};
use tim_store::{Write, Written};
use tim_testkit::{c2c, group as group_id, user};
use tim_usersig::App;

use super::*;
use crate::client_context::{ClientLimits, Expiry};
use crate::device::Device;
use crate::hub::Hub;
use crate::options::HubOptions;
use crate::threads::blocking;

struct World {
    hub: Hub,
    runtime: tokio::runtime::Runtime,
    _data: tempfile::TempDir,
}

/// A client without a connection.
struct Client<'a> {
    services: &'a Arc<Services>,
    context: ClientContext,
    next_id: u32,
}

impl World {
    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut options = HubOptions::new(App::new(1, "a key of the tests, long enough"));
        options.limits = Limits::new().with_group_messages_per_second(0);
        let hub = Hub::open(data.path(), options).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Self {
            hub,
            runtime,
            _data: data,
        }
    }

    fn client(&self, name: &str) -> Client<'_> {
        let services = self.hub.services();
        let user = user(name);
        let Ok(Written::Account { number }) = services.writer.write_blocking(Write::EnsureAccount(user))
        else {
            panic!("no account");
        };
        let device = Arc::new(Device::new(user, number, 16));
        assert!(services.presence.enter(&device, 1));
        services.presence.join(&device, std::iter::empty());
        let limits = ClientLimits {
            max_response: 4096,
            features: 0,
            sends_per_second: 0,
            requests_per_second: 0,
        };
        let expiry = Expiry::at(&services.options.clock, u64::MAX / 1000);
        let generation = services.permissions.generation();
        Client {
            services,
            context: ClientContext::new(device, number, limits, (0, expiry), generation),
            next_id: 1,
        }
    }
}

impl Client<'_> {
    fn begin(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id
    }

    /// Handles an encoded request as on the read pool, and waits for the answer.
    fn call_raw(&mut self, kind: FrameKind, body: &[u8]) -> Result<Vec<u8>, Refusal> {
        let id = self.begin();
        match blocking(|| handle(self.services, &mut self.context, id, kind, body))? {
            Outcome::Response(body) => return Ok(body),
            Outcome::Later => {}
            Outcome::NeedsStore => panic!("the store can be read here"),
        }
        loop {
            let response = self.context.device().mailbox().next_response();
            match response {
                Some(response) => {
                    assert_eq!((response.request, response.kind), (id, kind));
                    return response.result;
                }
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    fn call<R: Request, T>(
        &mut self,
        request: &R,
        read: impl FnOnce(R::Response<'_>) -> T,
    ) -> Result<T, ErrorCode> {
        let body = self.call_raw(R::KIND, &to_vec(request));
        body.map(|body| read(decode_body(&body).unwrap()))
            .map_err(|refusal| refusal.code)
    }

    /// What comes of a request on an executor's thread.
    fn on_executor<R: Request>(&mut self, request: &R) -> Result<Outcome, ErrorCode> {
        let id = self.begin();
        handle(self.services, &mut self.context, id, R::KIND, &to_vec(request))
            .map_err(|refusal| refusal.code)
    }

    fn message<'a>(&mut self, to: ConversationId, text: &'a str) -> Message<'a> {
        let random = self.begin();
        let mut message = tim_testkit::messages::text(self.context.user(), to, text);
        message.id = MessageId {
            sender: self.context.account(),
            client_time: 1,
            random,
        };
        message
    }

    /// The sequence under which a text is stored.
    fn send(&mut self, to: ConversationId, text: &str) -> Result<u64, ErrorCode> {
        let message = self.message(to, text);
        let request = SendMessage::new(&message);
        self.call(&request, |response| response.sequence)
    }

    fn history(&mut self, of: ConversationId, next: &[u8], count: u16) -> Result<PageSeen, ErrorCode> {
        let request = History::new(of).with_next(next).with_count(count);
        self.call(&request, |page| PageSeen {
            sequences: page
                .messages
                .iter()
                .map(|message| message.envelope.sequence)
                .collect(),
            next: page.next.to_vec(),
            completed: page.completed,
        })
    }

    fn revoke(&mut self, conversation: ConversationId, sequence: u64) -> Result<u64, ErrorCode> {
        let request = Revoke::new(conversation, sequence);
        self.call(&request, |response| response.sequence)
    }

    fn create_group(&mut self, group: &str, members: &[UserId]) {
        let request = CreateGroup::new(GroupType::PUBLIC, "g", 1)
            .with_group(group_id(group))
            .with_members(List::from_slice(members));
        self.call(&request, |_| ()).unwrap();
    }
}

#[derive(Debug)]
struct PageSeen {
    sequences: Vec<u64>,
    next: Vec<u8>,
    completed: bool,
}

fn group(name: &str) -> ConversationId {
    ConversationId::Group(group_id(name))
}

#[test]
fn only_members_send_to_a_group_and_read_it() {
    let world = World::new();
    let (mut alice, mut bob, mut carol) = (world.client("alice"), world.client("bob"), world.client("carol"));
    alice.create_group("g", &[user("bob")]);
    assert!(bob.send(group("g"), "from a member").is_ok());
    assert_eq!(
        carol.send(group("g"), "from outside"),
        Err(ErrorCode::GROUP_PERMISSION_DENY)
    );
    assert_eq!(
        carol.send(group("no such group"), "x"),
        Err(ErrorCode::GROUP_NOT_FOUND)
    );
    assert_eq!(
        carol.history(group("g"), &[], 0).unwrap_err(),
        ErrorCode::GROUP_PERMISSION_DENY
    );
    assert_eq!(alice.history(group("g"), &[], 1).unwrap().sequences.len(), 1);
}

/// The receipt of a message goes with it to the writer, which takes no more of one user's.
#[cfg(feature = "outgoing")]
#[test]
fn the_application_is_told_of_a_message_that_the_writer_does_not_take() {
    let data = tempfile::tempdir().unwrap();
    let store = tim_store_sqlite::open(data.path()).unwrap();
    let (store, faults) = tim_store::faults::wrap(store.into());
    let mut options = HubOptions::new(App::new(1, "a key of the tests, long enough"));
    // No task is there that would tell it.
    let endpoint = crate::Endpoint::new("http://127.0.0.1:1/");
    options.callbacks = Some(crate::CallbackOptions::new(endpoint));
    let hub = Hub::with_store(options, store).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let world = World {
        hub,
        runtime,
        _data: data,
    };
    let mut alice = world.client("alice");
    world.client("bob");
    faults.hold_commits();
    let most = tim_store::WriterConfig::default().per_user + tim_store::MAX_BATCH;
    let refused = (0..=most).find_map(|_| {
        let message = alice.message(c2c("bob"), "hello");
        let (id, body) = (alice.begin(), to_vec(&SendMessage::new(&message)));
        let handled = blocking(|| handle(alice.services, &mut alice.context, id, FrameKind::SEND, &body));
        handled.unwrap();
        alice.context.device().mailbox().next_response()
    });
    let refused = refused.unwrap().result.unwrap_err();
    let told = alice.services.callbacks.stats().waiting;
    faults.release();
    assert_eq!(refused.code, ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR);
    assert_eq!(told, 1, "nothing else is stored or refused yet");
}

#[test]
fn history_comes_in_pages_within_the_limits() {
    let world = World::new();
    let (mut alice, mut bob) = (world.client("alice"), world.client("bob"));
    for number in 1..=30 {
        assert_eq!(alice.send(c2c("bob"), "text"), Ok(number));
    }
    let (mut seen, mut next) = (Vec::new(), Vec::new());
    loop {
        let page = bob.history(c2c("alice"), &next, 12).unwrap();
        assert!(page.sequences.len() <= 12 && page.sequences.is_sorted());
        seen.splice(0..0, page.sequences);
        if page.completed {
            break;
        }
        next = page.next;
    }
    assert_eq!(seen, (1..=30).collect::<Vec<_>>());
    // No count asks for as much as a page may have.
    let most = bob.services.options.limits.page_len(None).unwrap() as usize;
    let page = bob.history(c2c("alice"), &[], 0).unwrap();
    assert_eq!(page.sequences.len(), most.min(30));
    // A cursor is good for its own list only.
    let stolen = bob.history(c2c("alice"), &[], 12).unwrap().next;
    assert_eq!(
        alice.history(c2c("carol"), &stolen, 12).unwrap_err(),
        ErrorCode::CURSOR_INVALID
    );
    // No response is larger than the client takes.
    let long = "x".repeat(1_500);
    for _ in 0..4 {
        alice.send(c2c("bob"), &long).unwrap();
    }
    let page = bob.history(c2c("alice"), &[], 4).unwrap();
    assert_eq!(
        (page.sequences.as_slice(), page.completed),
        (&[33, 34][..], false)
    );
}

#[test]
fn messages_are_revoked_by_their_senders_and_by_managers() {
    let world = World::new();
    let (mut alice, mut bob, mut carol) = (world.client("alice"), world.client("bob"), world.client("carol"));
    let sequence = alice.send(c2c("bob"), "x").unwrap();
    assert_eq!(bob.revoke(c2c("alice"), sequence), Err(ErrorCode::REVOKE_DENIED));
    assert_eq!(bob.revoke(c2c("alice"), 99), Err(ErrorCode::MESSAGE_NOT_FOUND));
    assert!(alice.revoke(c2c("bob"), sequence).is_ok());
    alice.create_group("g", &[user("bob")]);
    let (first, second) = (
        alice.send(group("g"), "x").unwrap(),
        bob.send(group("g"), "y").unwrap(),
    );
    assert_eq!(
        bob.revoke(group("g"), first),
        Err(ErrorCode::GROUP_REVOKE_MSG_DENY)
    );
    assert_eq!(
        bob.revoke(group("g"), 99),
        Err(ErrorCode::GROUP_REVOKE_MSG_NOT_FOUND)
    );
    assert_eq!(
        carol.revoke(group("g"), second),
        Err(ErrorCode::GROUP_PERMISSION_DENY),
        "an outsider does not learn whether there is such a message"
    );
    assert!(alice.revoke(group("g"), second).is_ok(), "the owner may");
    assert_eq!(
        alice.revoke(group("g"), 0),
        Err(ErrorCode::GROUP_NOT_ALLOW_REVOKE_MSG)
    );
}

#[test]
fn requests_of_unknown_kinds_and_malformed_ones_are_refused() {
    let world = World::new();
    let mut alice = world.client("alice");
    let refusal = alice.call_raw(FrameKind(0x7f), &[1, 2, 3]).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::UNSUPPORTED_REQUEST);
    for kind in [
        FrameKind::SEND,
        FrameKind::HISTORY,
        FrameKind::JOIN_GROUP,
        FrameKind::RENEW,
    ] {
        let refusal = alice.call_raw(kind, &[0xff]).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::MSG_PKG_PARSE_FAILED, "{kind}");
    }
    assert_eq!(world.hub.stats().malformed_requests, 4);
    let refusal = alice.call_raw(FrameKind::LOGIN, &[]).unwrap_err();
    assert_eq!(
        refusal.code,
        ErrorCode::UNSUPPORTED_REQUEST,
        "a login is no request of a client"
    );
}

#[test]
fn every_request_of_the_protocol_has_a_handler() {
    macro_rules! kinds {
        ([] $($request:ty),+) => { [$(<$request as Request>::KIND),+] };
    }
    let world = World::new();
    let mut alice = world.client("alice");
    for kind in for_each_request!(kinds![]) {
        // Without a body most of them are malformed, but known.
        let is_known = !matches!(
            alice.call_raw(kind, &[]),
            Err(refusal) if refusal.code == ErrorCode::UNSUPPORTED_REQUEST
        );
        // LOGIN and LOGOUT are the session's.
        assert_eq!(
            is_known,
            !matches!(kind, FrameKind::LOGIN | FrameKind::LOGOUT),
            "{kind}"
        );
    }
}

#[test]
fn on_an_executor_no_handler_reads_the_store_and_cached_sends_need_not() {
    let world = World::new();
    let _entered = world.runtime.enter();
    let (mut alice, _bob) = (world.client("alice"), world.client("bob"));
    let history = History::new(c2c("bob"));
    assert_eq!(alice.on_executor(&history), Ok(Outcome::NeedsStore));
    let message = alice.message(c2c("bob"), "x");
    let send = SendMessage::new(&message);
    assert_eq!(alice.on_executor(&send), Ok(Outcome::NeedsStore));
    alice.send(c2c("bob"), "fills the caches").unwrap();
    assert_eq!(alice.on_executor(&send), Ok(Outcome::Later));
    // A message that is refused anyway needs no store.
    let mut message = message;
    message.id.sender = 99;
    let forged = SendMessage::new(&message);
    assert_eq!(
        alice.on_executor(&forged),
        Err(ErrorCode::GROUP_INVALID_PARAMETERS)
    );
    let mark = MarkRead::new(c2c("bob"));
    assert_eq!(alice.on_executor(&mark), Ok(Outcome::Later));
}
