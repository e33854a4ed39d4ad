//! `im_open_login_svc`: accounts; and who is online.

use crate::values::{Done, Flag, Names, UserResult, UserResults};

call! {
    /// Makes an account, or changes the nick and the picture of one. A repeated call makes no second one.
    ///
    /// 40601: the nick or the address is too long. 70398: there are too many accounts. 70402: no user can have this id.
    request import_account = "im_open_login_svc", "account_import", again -> Done;
    ImportAccount::new {
        user: String = "UserID",
        ;
        /// The user's name; at most 100 bytes on a hub.
        nick: String = "Nick",
        /// The address of the user's picture; at most 500 bytes.
        avatar: String = "FaceUrl",
    }
}

call! {
    /// Makes up to 100 accounts. Ids for which that fails are in the answer.
    args import_accounts = "im_open_login_svc", "multiaccount_import", again -> ImportedAccounts;
    ImportAccounts::new {
        users: Names = "Accounts",
    }
}

answer! {
    /// What came of importing accounts.
    ImportedAccounts {
        /// The ids for which there is no account.
        failed: Vec<String> = "FailAccounts",
    }
}

call! {
    /// Which of up to 100 users have accounts. A missing account is not an error.
    args check_accounts = "im_open_login_svc", "account_check", again -> CheckedAccounts;
    CheckAccounts::new {
        users: Names = "CheckItem" with "crate::wire::user_ids",
    }
}

answer! {
    /// Which users have accounts.
    CheckedAccounts {
        /// One for each user of the request.
        accounts: Vec<CheckedAccount> = "ResultItem",
    }
}

answer! {
    /// Whether a user has an account.
    CheckedAccount {
        /// The user.
        user: String = "UserID",
        /// 0, or why it is not known.
        code: u32 = "ResultCode",
        /// What went wrong.
        info: String = "ResultInfo",
        /// `Imported` or `NotImported`.
        status: String = "AccountStatus",
    }
}

impl CheckedAccount {
    /// Whether the user has an account.
    #[must_use]
    pub fn is_imported(&self) -> bool {
        self.status == "Imported"
    }
}

call! {
    /// Deletes up to 100 accounts, with profiles and friends. Each has a result of its own; 70107: there is no such account.
    args delete_accounts = "im_open_login_svc", "account_delete", once -> UserResults;
    DeleteAccounts::new {
        users: Names = "DeleteItem" with "crate::wire::user_ids",
    }
}

call! {
    /// Voids the UserSigs of a user that were issued before now, and ends the user's sessions.
    ///
    /// 70107: there is no such account.
    args kick = "im_open_login_svc", "kick", once -> Done;
    Kick::new {
        user: String = "UserID",
    }
}

call! {
    /// Which of up to 500 users are online.
    ///
    /// 70107: none of them has an account. 90011: there are too many.
    request online_status = "openim", "query_online_status", again -> OnlineStatuses;
    QueryOnline::new {
        users: Names = "To_Account",
        ;
        /// Whether to say what runs on each device.
        with_devices: Flag = "IsNeedDetail",
    }
}

answer! {
    /// Who is online.
    OnlineStatuses {
        /// Those who have accounts.
        users: Vec<OnlineStatus> = "QueryResult",
        /// Those of whom that is not known.
        failed: Vec<UserResult> = "ErrorList",
    }
}

answer! {
    /// Whether a user is online.
    OnlineStatus {
        /// The user.
        user: String = "To_Account",
        /// `Online`, `Offline`, or `PushOnline` for one whom only offline push reaches.
        status: String = "Status",
        /// The devices, if they were asked for.
        devices: Vec<OnlineDevice> = "Detail",
    }
}

impl OnlineStatus {
    /// Whether one of the user's devices is connected.
    #[must_use]
    pub fn is_online(&self) -> bool {
        self.status == "Online"
    }
}

answer! {
    /// A device of a user.
    OnlineDevice {
        /// What it runs on, such as `Android`; a hub does not know it.
        platform: String = "Platform",
        /// As the user's.
        status: String = "Status",
    }
}
