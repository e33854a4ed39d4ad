//! What goes wrong: applications, links, the hub, and its stores.

/// What happens to an application or a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceFault {
    /// The application reads no events for so many milliseconds.
    ReadsNothing(u32),
    /// The application (or device) ends without warning, and is started again after so many milliseconds with the cursor and the messages that it
    /// kept.
    Restart(u32),
    /// Firmware: the power goes when the device comes to this point next, and comes back after so many milliseconds. What is in the storage
    /// is kept.
    PowerCut(CutPoint, u32),
    /// As a restart, with everything lost but the device id: it starts with what is new, or, if `from_start`, with everything retained.
    Reset {
        /// After how many milliseconds it is started again.
        after_ms: u32,
        /// Whether it asks for everything retained.
        from_start: bool,
    },
    /// A second instance of the device logs in with the same device id, and ends after so many milliseconds.
    Twin(u32),
    /// The wall clock of the device jumps by so many seconds.
    ClockJump(i64),
}

/// Where the power of a device goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CutPoint {
    /// A message is being written to the storage. It is there or not.
    Writing,
    /// A message is in the storage, and not on the line.
    Kept,
    /// The hub has answered a message, and it is still in the storage.
    Answered,
    /// An entry has arrived, and neither it nor the cursor behind it is in the storage.
    Delivered,
    /// An entry and its cursor are in the storage, and the hub does not know that it has arrived.
    Saved,
}

impl CutPoint {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Writing,
        Self::Kept,
        Self::Answered,
        Self::Delivered,
        Self::Saved,
    ];
}

/// What happens to a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkFault {
    /// It ends; both ends notice.
    Cut,
    /// It ends after so many more bytes in both directions together.
    CutAfter(u32),
    /// It carries nothing any more; no end notices.
    Silent,
    /// The device's end ends; the hub's does not notice.
    HalfOpen,
    /// The next attempts to connect fail, for so many milliseconds.
    Unreachable(u32),
    /// Its delay is so many milliseconds more, for so many milliseconds.
    Slow {
        /// The additional delay.
        delay_ms: u32,
        /// For how long.
        for_ms: u32,
    },
    /// It carries so many bytes a second, for so many milliseconds.
    Narrow {
        /// Bytes a second.
        bytes: u32,
        /// For how long.
        for_ms: u32,
    },
    /// Serial line: in a thousand fragments, so many are damaged, lost and doubled, for so many milliseconds.
    Noise {
        /// Damaged.
        damaged: u16,
        /// Lost.
        lost: u16,
        /// Doubled.
        doubled: u16,
        /// For how long.
        for_ms: u32,
    },
    /// Serial line: the cable is pulled for so many milliseconds.
    Pull(u32),
}

/// What happens to the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HubFault {
    /// It stops in an orderly way, and starts after so many milliseconds.
    Stop(u32),
    /// It crashes: what is not synced is lost. It starts after so many milliseconds.
    Crash(u32),
    /// Its store is copied as a backup, while it runs.
    Backup,
    /// It stops, and starts after so many milliseconds with the newest backup. Without a backup it is a stop.
    Restore(u32),
    /// Its wall clock jumps by so many seconds.
    ClockJump(i64),
}

/// What happens to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StoreFault {
    /// The next commit fails and stores nothing.
    NextFails,
    /// The next commit fails, because the disk is full.
    NextFull,
    /// The next commit succeeds, but the store says that it does not know.
    NextUnknown,
    /// The next commit fails for good: the hub has to end. It is started again after a second.
    NextFatal,
    /// Each commit takes so many milliseconds, for so many milliseconds.
    Slow {
        /// A commit.
        commit_ms: u32,
        /// For how long.
        for_ms: u32,
    },
    /// Reads take so many milliseconds, for so many milliseconds.
    SlowReads {
        /// A read.
        read_ms: u32,
        /// For how long.
        for_ms: u32,
    },
    /// Reads fail for so many milliseconds.
    ReadsFail(u32),
    /// What was read is handed over so many milliseconds later, for so many milliseconds.
    SlowAnswers {
        /// How much later.
        later_ms: u32,
        /// For how long.
        for_ms: u32,
    },
    /// The file store fails, for so many milliseconds.
    Files(FileFault, u32),
}

/// How a file store fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileFault {
    /// Its disk is full: nothing can be written.
    Full,
    /// Nothing can be written or deleted.
    ReadOnly,
    /// Nothing can be read.
    Unreadable,
    /// Every third operation fails.
    Flaky,
}
