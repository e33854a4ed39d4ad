//! Faults that tests plant, to see that the simulator finds them.
//!
//! Each [`Fault`] is a small mistake at its natural place in one of the crates: `if planted::is(Fault::X) { ... }`. Without the
//! feature `planted`, which nothing but tests turns on, [`is`] is a constant `false` and the mistakes are not compiled in. With
//! it, a fault is planted by [`with`], on one thread and for the time of one call.

/// Defines [`Fault`]: the name for the command line, the invariant of the simulator that has to notice it, and within how many seeds of
/// which profile it does (`all`: all profiles take turns).
macro_rules! faults {
    ($($(#[$doc:meta])* $fault:ident = $name:literal, $invariant:literal, $seeds:literal of $profile:literal;)+) => {
        /// A mistake that can be planted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Fault {
            $($(#[$doc])* #[doc = ""] #[doc = concat!("To be noticed by `", $invariant, "`. Found within ", $seeds, " seeds of profile ", $profile, ".")]
            $fault,)+
        }

        impl Fault {
            /// All faults.
            pub const ALL: &'static [Self] = &[$(Self::$fault),+];

            /// The name on the command line of the simulator.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$fault => $name),+ }
            }

            /// The invariant that is meant to notice it. Another one may see it first.
            #[must_use]
            pub const fn invariant(self) -> &'static str {
                match self { $(Self::$fault => $invariant),+ }
            }

            /// Within how many seeds of which profile the simulator finds it.
            #[must_use]
            pub const fn found_within(self) -> (u64, &'static str) {
                match self { $(Self::$fault => ($seeds, $profile)),+ }
            }
        }
    };
}

faults! {
    /// The store takes every message under a known id for a repetition: another message is acknowledged and thrown away.
    IdsWithoutHash = "ids-without-hash", "used-id", 200 of "all";
    /// Message ids are drawn from a fixed seed and the hour, so a restarted application draws its earlier ids again, and a message
    /// under a refused id is sent under the same id once more.
    IdsDrawnAgain = "ids-drawn-again", "used-id", 200 of "all";
    /// The store answers before the transaction is committed: a crash loses what was acknowledged.
    AcknowledgeBeforeCommit = "acknowledge-before-commit", "durable-once", 200 of "all";
    /// Ids of requests start over with each connection: two open requests have one id, and one gets the response of the other.
    RequestIdsStartOver = "request-ids-start-over", "durable-once", 200 of "all";
    /// A new connection does not get the requests that were under way on the lost one: their calls never return.
    OutboxDropped = "outbox-dropped", "liveness", 200 of "all";
    /// The session's cursor stays where the last SYNCED has put it: what came since comes again on the next connection.
    DeliveryRepeated = "delivery-repeated", "order-once", 200 of "all";
    /// The SDK's cursor is that of the newest delivery, handled or not: a restarted application never gets what it had not read.
    CursorAheadOfEvents = "cursor-ahead-of-events", "order-once", 200 of "all";
    /// What the connection had no capacity for counts as delivered.
    CursorSkipsUndelivered = "cursor-skips-undelivered", "order-once", 200 of "devices";
    /// Live messages are handed to a device that has not yet got the older ones from the log, which it then never gets.
    LiveOvertakesLog = "live-overtakes-log", "order-once", 200 of "all";
    /// The hub does not remember what it passed on without storing it: a repetition is delivered again.
    PassedOnTwice = "passed-on-twice", "order-once", 200 of "rooms";
    /// A serial line takes packets for whole although others before them were lost.
    SerialLossIgnored = "serial-loss-ignored", "order-once", 200 of "all";
    /// A store that was put back from an older copy takes the cursors of the lost history for its own.
    CursorBelievedAfterRestore = "cursor-believed-after-restore", "gaps", 200 of "all";
    /// The answer to a SEND does not count as what a device knows of: a restore that undoes it is not announced to its sender.
    AnswerAheadOfCursor = "answer-ahead-of-cursor", "gaps", 200 of "restore";
    /// The hub does not tell devices of the gaps that retention made.
    GapSwallowed = "gap-swallowed", "order-once", 200 of "clock";
    /// Retention believes the wall clock: a clock that jumps ahead erases history.
    PurgeByWallClock = "purge-by-wall-clock", "durable-once", 200 of "clock";
    /// A member reads in a group's history what was said before the member joined.
    HistoryBeforeJoining = "history-before-joining", "visibility", 200 of "all";
    /// A removed member stays on the list of those who are online in the group, and gets its messages.
    RemovedStaysListed = "removed-stays-listed", "visibility", 200 of "all";
    /// A mute is kept in the row of the member: who leaves and joins again may speak.
    MuteInMembership = "mute-in-membership", "restrictions", 200 of "groups";
    /// A message that waits for its turn is not checked again: it is delivered after its sender was muted.
    WaitingNotCheckedAgain = "waiting-not-checked-again", "restrictions", 200 of "rooms";
    /// Managers act on members of their own rank and above.
    RankIgnored = "rank-ignored", "restrictions", 200 of "groups";
    /// The content of a revoked message stays in the store.
    RevokedContentKept = "revoked-content-kept", "revoked", 200 of "all";
    /// What waits in mailboxes keeps its content when it is revoked.
    RevocationMissesMailboxes = "revocation-misses-mailboxes", "revoked", 200 of "links";
    /// The SDK replaces its unread count by that of a response, and forgets what was delivered after the hub had counted.
    MarkReadOverwrites = "mark-read-overwrites", "numbers-at-rest", 200 of "store";
    /// The store moves the read mark backward.
    ReadMarkGoesBack = "read-mark-goes-back", "numbers-at-rest", 200 of "all";
    /// The store counts a user's own messages as unread.
    OwnMessagesCount = "own-messages-count", "numbers-at-rest", 200 of "all";
    /// A message that was revoked stays in the SDK's count.
    RevokedStillCounts = "revoked-still-counts", "numbers-at-rest", 200 of "all";
    /// Of two counts that wait for a device, the one that came last wins, even if it is the older one.
    OlderCountWins = "older-count-wins", "numbers-at-rest", 400 of "groups";
    /// The hub measures a message with its envelope, the client without: the longest messages are created and never sent.
    LimitMeasuredTwice = "limit-measured-twice", "ceilings", 200 of "all";
    /// The session delivers more than the window of the client.
    WindowUnchecked = "window-unchecked", "ceilings", 200 of "all";
    /// The hub admits any number of messages a second.
    FloodAdmitted = "flood-admitted", "ceilings", 200 of "all";
    /// A login that arrives late takes over from the newer one of the same session.
    LoginWithoutFencing = "login-without-fencing", "liveness", 200 of "links";
    /// The client takes the response to a LOGIN of an earlier connection, or of an earlier run, for its own.
    EarlierLoginAnswered = "earlier-login-answered", "order-once", 200 of "serial";
    /// Every refusal of a login ends the session for good.
    TransientIsFinal = "transient-is-final", "liveness", 200 of "store";
    /// The client's waits between attempts grow without a ceiling.
    BackoffWithoutEnd = "backoff-without-end", "liveness", 200 of "all";
    /// Neither end ever takes a silent connection for lost.
    SilenceTrusted = "silence-trusted", "liveness", 200 of "all";
    /// DOWNLOAD does not ask whether the user may read the message.
    DownloadUnchecked = "download-unchecked", "file-access", 100 of "files";
    /// Whoever knows the name of a file may send it.
    FileOfAnybody = "file-of-anybody", "file-access", 100 of "files";
    /// Whoever knows the number of an upload may go on with it.
    UploadOfAnybody = "upload-of-anybody", "file-access", 100 of "files";
    /// The hash of an upload is not compared with what was announced.
    HashNotCompared = "hash-not-compared", "file-access", 100 of "files";
    /// A piece ahead of its turn is written where the next one belongs.
    PieceOutOfOrder = "piece-out-of-order", "file-access", 100 of "files";
    /// A message that is stored does not keep its file from being removed.
    FileNotPinned = "file-not-pinned", "files-at-rest", 100 of "files";
    /// The file of a revoked message counts as used for ever.
    RevocationKeepsFile = "revocation-keeps-file", "files-at-rest", 100 of "files";
    /// Files are stored beyond the quota.
    FileQuotaIgnored = "file-quota-ignored", "files-at-rest", 100 of "files";
    /// Names of files are drawn again after a restart: a message gets the content of another one.
    FileNamesDrawnAgain = "file-names-drawn-again", "files-at-rest", 100 of "files";
    /// Uploads to which nothing comes any more are kept for ever.
    AbandonedKept = "abandoned-kept", "files-at-rest", 100 of "files";
    /// A call of an application's server that is made again sends its message again.
    RepeatedCallSendsAgain = "repeated-call-sends-again", "durable-once", 50 of "backend";
    /// A message to many users is acknowledged and does not go to the last of them.
    LastReceiverLeftOut = "last-receiver-left-out", "as-told", 50 of "backend";
    /// An application's server that asks for what is unread in one-to-one conversations is told what is unread in groups, too.
    GroupsCountAsUsers = "groups-count-as-users", "as-told", 50 of "backend";
    /// The conversation with a deleted account is on no list, and what is unread in it counts.
    DeletedPeerUnlisted = "deleted-peer-unlisted", "numbers-at-rest", 100 of "backend";
    /// Devices are not told that an application's server has marked a conversation as read.
    ReadByServerUntold = "read-by-server-untold", "numbers-at-rest", 50 of "backend";
    /// A message that an application's server withdraws stays.
    WithdrawnStays = "withdrawn-stays", "revoked", 50 of "backend";
    /// Who is kicked out stays until the connection ends.
    KickLeavesSessions = "kick-leaves-sessions", "kept-out", 50 of "backend";
    /// UserSigs that were made void are good for a login.
    VoidSigLogsIn = "void-sig-logs-in", "kept-out", 50 of "backend";
    /// Who is blocked loses the sessions, and may log in again.
    BlockedLogsIn = "blocked-logs-in", "kept-out", 100 of "backend";
    /// What the application refuses is stored.
    VerdictIgnored = "verdict-ignored", "decided", 50 of "servers";
    /// What the application changes is stored as it was sent.
    ChangeForgotten = "change-forgotten", "decided", 50 of "servers";
    /// The application is told again of a message that is sent again.
    ToldOfRepetitions = "told-of-repetitions", "told-once", 50 of "servers";
    /// The application is not told of messages to groups.
    GroupsUntold = "groups-untold", "told-once", 50 of "servers";
    /// Users who are online are notified.
    NotifiedOnline = "notified-online", "notified", 50 of "servers";
    /// A user is notified of what was read on another way.
    ReadNotified = "read-notified", "notified", 100 of "servers";
    /// The switch for notifications on a device is not looked at.
    SwitchIgnored = "switch-ignored", "notified", 50 of "servers";
    /// The idempotency key of a notification is that of the attempt.
    KeyOfAttempt = "key-of-attempt", "notified", 50 of "servers";
    /// A notification that the sink does not take counts as sent.
    FailureSettles = "failure-settles", "not-missed", 100 of "servers";
    /// A hub that is started looks up nobody who was to be notified before.
    WaitingForgotten = "waiting-forgotten", "not-missed", 100 of "servers";
    /// A storage says that it has a message before it is written: the power goes, and what the hub has is not kept.
    KeptInCache = "kept-in-cache", "durable-once", 200 of "devices";
    /// Any error counts as an answer: a device forgets a message of which it does not know what became of it.
    UnansweredForgotten = "unanswered-forgotten", "durable-once", 200 of "mixed";
    /// A device keeps a cursor before it keeps the entry: a reset in between loses the entry.
    CursorWithoutEntry = "cursor-without-entry", "order-once", 200 of "devices";
    /// A compact delivery of a group does not say who sent it.
    CompactWithoutSender = "compact-without-sender", "order-once", 200 of "devices";
    /// A compact delivery takes every one-to-one conversation for the one with the receiver.
    CompactTakesAllAsOwn = "compact-takes-all-as-own", "order-once", 200 of "devices";
}

impl Fault {
    /// The fault with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|fault| fault.name() == name)
    }
}

#[cfg(not(feature = "planted"))]
const _: () = assert!(
    !is(Fault::IdsWithoutHash),
    "a fault can be planted without the feature"
);

/// Whether the fault is planted.
#[cfg(not(feature = "planted"))]
#[must_use]
#[inline]
pub const fn is(_fault: Fault) -> bool {
    false
}

#[cfg(feature = "planted")]
pub use switch::{is, with};

#[cfg(feature = "planted")]
mod switch {
    use core::cell::Cell;

    use super::Fault;

    std::thread_local! {
        static PLANTED: Cell<Option<Fault>> = const { Cell::new(None) };
    }

    /// Whether the fault is planted on this thread.
    #[must_use]
    pub fn is(fault: Fault) -> bool {
        PLANTED.get() == Some(fault)
    }

    /// Plants the fault, or none, while `work` runs on this thread.
    pub fn with<T>(fault: Option<Fault>, work: impl FnOnce() -> T) -> T {
        struct Restore(Option<Fault>);
        impl Drop for Restore {
            fn drop(&mut self) {
                PLANTED.set(self.0);
            }
        }
        let _before = Restore(PLANTED.replace(fault));
        work()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_fault_is_planted_on_one_thread_and_until_the_call_returns() {
            let fault = Fault::IdsWithoutHash;
            assert!(!is(fault));
            with(Some(fault), || {
                assert!(is(fault) && !is(Fault::OutboxDropped));
                with(None, || assert!(!is(fault)));
                assert!(is(fault));
                let elsewhere = std::thread::spawn(move || is(fault)).join();
                assert!(matches!(elsewhere, Ok(false)));
            });
            assert!(!is(fault));
        }

        #[test]
        fn each_fault_is_found_by_its_name_and_no_other_has_it() {
            for fault in Fault::ALL {
                assert_eq!(Fault::named(fault.name()), Some(*fault));
                let same = Fault::ALL.iter().filter(|other| other.name() == fault.name());
                assert_eq!(same.count(), 1);
            }
        }
    }
}
