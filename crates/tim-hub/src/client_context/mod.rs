//! What the hub holds for a logged-in connection: its device, what the client takes, and caches of what the store has.
//!
//! Handlers get it with each request. It travels to the read pool and back with a request that reads the store.

mod expiry;

pub(crate) use expiry::{Due, Expiry};

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

#[cfg(feature = "outgoing")]
use tim_proto::ErrorCode;
use tim_proto::request::Request;
use tim_proto::wire::features;
use tim_proto::{GroupId, UserId};
use tim_store::Fingerprint;

use crate::device::{Device, Responder};
use crate::metrics::Began;
use crate::permissions::{Generation, GroupMembership};
#[cfg(feature = "outgoing")]
use crate::refusal::Refusal;

/// How many peers are known to have accounts.
const MAX_KNOWN_PEERS: usize = 256;
/// Of how many groups the user's membership is cached.
const MAX_MEMBERSHIPS: usize = 64;

/// What the user is called and looks like.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) nick: String,
    pub(crate) avatar: String,
}

/// A logged-in client.
#[derive(Debug)]
pub(crate) struct ClientContext {
    device: Arc<Device>,
    account: u64,
    limits: ClientLimits,
    /// The id of the request that is being handled.
    request: u32,
    /// When it began.
    pub(crate) began: Began,
    /// The caches were current in this generation of permissions, or have been filled since.
    generation: Generation,
    /// Who only reads has none.
    caches: Option<Box<Caches>>,
    /// When the session ends, unless it is renewed.
    pub(crate) expiry: Expiry,
    /// When the UserSig of the session was issued, Unix time in seconds.
    pub(crate) issued_s: u64,
}

/// What is cached of the user, of peers and of the user's groups.
#[derive(Debug, Default)]
struct Caches {
    known_peers: HashSet<UserId>,
    names: Option<Arc<Names>>,
    memberships: HashMap<GroupId, Arc<GroupMembership>>,
    /// Whoever reads a piece of a file for the device holds a clone.
    downloads: Arc<()>,
    /// Of the request that is being handled: the application was asked about it.
    asked: Option<AskedAbout>,
}

/// The application was asked about a request, which was admitted before.
#[derive(Debug, Default)]
pub(crate) struct AskedAbout {
    /// What the sender of a message has written, if a callback has changed it.
    pub(crate) original: Option<Fingerprint>,
    /// Whom the application refuses of those who are invited to a group.
    pub(crate) refused: Vec<UserId>,
    /// Of a message that is allowed.
    #[cfg(feature = "outgoing")]
    pub(crate) passage: Option<crate::callbacks::Passage>,
}

/// What was agreed on when the client logged in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientLimits {
    /// The most bytes of a response: what the client takes, and what leaves capacity for others.
    pub(crate) max_response: usize,
    /// Bits of [`features`] that the client announced.
    pub(crate) features: u32,
    /// How many messages the user may send a second.
    pub(crate) sends_per_second: u32,
    /// What other requests of the user may cost a second.
    pub(crate) requests_per_second: u32,
}

impl ClientContext {
    pub(crate) fn new(
        device: Arc<Device>,
        account: u64,
        limits: ClientLimits,
        (issued_s, expiry): (u64, Expiry),
        generation: Generation,
    ) -> Self {
        Self {
            device,
            account,
            limits,
            request: 0,
            began: Began::default(),
            generation,
            caches: None,
            expiry,
            issued_s,
        }
    }

    /// A request begins. `generation` is the current one.
    pub(crate) fn begin(&mut self, request: u32, generation: Generation) {
        self.request = request;
        self.generation = generation;
        if self.device.take_stale()
            && let Some(caches) = &mut self.caches
        {
            caches.names = None;
            caches.memberships = HashMap::new();
        }
    }

    pub(crate) const fn device(&self) -> &Arc<Device> {
        &self.device
    }

    pub(crate) fn user(&self) -> UserId {
        self.device.user()
    }

    /// The account's number (`tinyID`).
    pub(crate) const fn account(&self) -> u64 {
        self.account
    }

    pub(crate) const fn generation(&self) -> Generation {
        self.generation
    }

    pub(crate) const fn max_response(&self) -> usize {
        self.limits.max_response
    }

    pub(crate) const fn sends_per_second(&self) -> u32 {
        self.limits.sends_per_second
    }

    pub(crate) const fn requests_per_second(&self) -> u32 {
        self.limits.requests_per_second
    }

    /// Whether the client wants to know under which names its messages are delivered.
    pub(crate) const fn wants_names(&self) -> bool {
        self.limits.features & features::SENDER_NAMES != 0
    }

    /// Answers the request that is being handled, later.
    pub(crate) fn responder<R: Request>(&self) -> Responder<R> {
        Responder::new(Arc::clone(&self.device), self.request, self.began)
    }

    /// Whether a peer is known to have an account.
    pub(crate) fn knows_peer(&self, peer: &UserId) -> bool {
        self.caches
            .as_ref()
            .is_some_and(|caches| caches.known_peers.contains(peer))
    }

    /// A peer has an account.
    pub(crate) fn add_known_peer(&mut self, peer: UserId) {
        let known_peers = &mut self.caches().known_peers;
        if known_peers.len() >= MAX_KNOWN_PEERS {
            known_peers.clear();
        }
        known_peers.insert(peer);
    }

    pub(crate) fn names(&self) -> Option<Arc<Names>> {
        self.caches.as_ref()?.names.clone()
    }

    pub(crate) fn set_names(&mut self, names: Arc<Names>) {
        self.caches().names = Some(names);
    }

    /// The cached membership of the user in a group.
    pub(crate) fn membership(&self, group: &GroupId) -> Option<Arc<GroupMembership>> {
        self.caches.as_ref()?.memberships.get(group).cloned()
    }

    pub(crate) fn set_membership(&mut self, group: GroupId, membership: Arc<GroupMembership>) {
        let memberships = &mut self.caches().memberships;
        if memberships.len() >= MAX_MEMBERSHIPS {
            memberships.clear();
        }
        memberships.insert(group, membership);
    }

    /// Lets the device be sent one more piece of a file, unless so many are under way.
    pub(crate) fn begin_download(&mut self, most: usize) -> Option<Arc<()>> {
        let downloads = &self.caches().downloads;
        (Arc::strong_count(downloads) <= most).then(|| Arc::clone(downloads))
    }

    /// The fingerprint by which a repetition of the message that is being handled is known, if that is not its own.
    pub(crate) fn original(&self) -> Option<Fingerprint> {
        self.asked()?.original
    }

    /// Whom the application refuses of those who are invited by the request that is being handled.
    pub(crate) fn refused_users(&self) -> Vec<UserId> {
        self.asked().map_or_else(Vec::new, |asked| asked.refused.clone())
    }

    /// Whether the application was asked about the request that is being handled, so that it was admitted already.
    pub(crate) fn was_asked_about(&self) -> bool {
        self.asked().is_some()
    }

    /// The message that is being handled is under way until this is dropped.
    #[cfg(feature = "outgoing")]
    pub(crate) fn take_passage(&mut self) -> Option<crate::callbacks::Passage> {
        self.caches().asked.as_mut()?.passage.take()
    }

    fn asked(&self) -> Option<&AskedAbout> {
        self.caches.as_ref()?.asked.as_ref()
    }

    /// Refuses a request about which the application was asked if the user has been kicked out or blocked meanwhile, or the UserSig has
    /// expired. The session may have ended before that, so that nobody has closed it: `check_admitted` asks the store about the user and when
    /// the UserSig was issued.
    #[cfg(feature = "outgoing")]
    pub(crate) fn check_rights(
        &self,
        steady_ms: u64,
        check_admitted: impl FnOnce(&UserId, u64) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        if self.device.mailbox().is_kicked_out() {
            return Err(Refusal::new(ErrorCode::KICKED_OUT_REST_API, ""));
        }
        if matches!(self.expiry.due(steady_ms), Due::End) {
            return Err(Refusal::new(ErrorCode::KICKED_OUT_USERSIG_EXPIRED, ""));
        }
        let admitted = check_admitted(&self.user(), self.issued_s);
        admitted.map_err(|refusal| match refusal.code {
            ErrorCode::ACCOUNT_INVALID_USERSIG => Refusal::new(ErrorCode::KICKED_OUT_REST_API, ""),
            _ => refusal,
        })
    }

    /// The application was asked about the request that is handled next.
    #[cfg(feature = "outgoing")]
    pub(crate) fn begin_asked(&mut self, asked: AskedAbout) {
        self.caches().asked = Some(asked);
    }

    /// It was handled.
    #[cfg(feature = "outgoing")]
    pub(crate) fn end_asked(&mut self) {
        self.caches().asked = None;
    }

    fn caches(&mut self) -> &mut Caches {
        self.caches.get_or_insert_default()
    }
}
