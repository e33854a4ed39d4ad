//! `sns`: friends, and the lists that a user keeps them in.
//!
//! Common codes: 30001: a field is wrong. 30003: there is no such account. 30008: others have changed the same friends; try again.

use crate::values::{Flag, Names, NeedFriend, Tag, UserResult, UserResults};

names! {
    /// On which side a friend is added.
    AddType {
        /// On both.
        Both = "Add_Type_Both",
        /// The other user does not get the caller's as a friend.
        Single = "Add_Type_Single",
    }
}

names! {
    /// On which side a friend is removed.
    DeleteType {
        /// On both.
        Both = "Delete_Type_Both",
        /// The other user keeps the friend.
        Single = "Delete_Type_Single",
    }
}

call! {
    /// Makes friends of a user, at most 100. Each has a result of its own: 30003: there is no such account. 30010, 30014: one of the two has
    /// too many. 30539: waits for the other user's consent.
    request add_friends = "sns", "friend_add", once -> UserResults;
    AddFriends::new {
        from: String = "From_Account",
        friends: Vec<NewFriend> = "AddFriendItem",
        ;
        /// On which side; on both without it.
        on: AddType = "AddType",
        /// Whether nobody is asked for consent.
        force: Flag = "ForceAddFlags",
    }
}

fields! {
    /// A user who is to become a friend. The source is `AddSource_Type_` and up to eight letters.
    NewFriend::new {
        user: String = "To_Account",
        source: String = "AddSource",
        ;
        /// What the user calls the friend; at most 96 bytes.
        remark: String = "Remark",
        /// The list that the friend goes into; at most 30 bytes.
        list: String = "GroupName",
        /// What is said with the request; at most 256 bytes.
        wording: String = "AddWording",
    }
}

call! {
    /// Removes up to 1,000 friends of a user. Each has a result of its own; 31704: is no friend.
    request delete_friends = "sns", "friend_delete", once -> UserResults;
    DeleteFriends::new {
        from: String = "From_Account",
        friends: Names = "To_Account",
        ;
        /// On which side; a hub takes the user's only without it.
        on: DeleteType = "DeleteType",
    }
}

call! {
    /// Changes what is said of up to 100 friends: remarks, lists and fields of the application. Each has a result of its own; 30011: there
    /// are too many lists.
    args update_friends = "sns", "friend_update", once -> UserResults;
    UpdateFriends::new {
        from: String = "From_Account",
        friends: Vec<FriendUpdate> = "UpdateItem",
    }
}

fields! {
    /// What is to be said of a friend.
    FriendUpdate::new {
        user: String = "To_Account",
        tags: Vec<Tag> = "SnsItem",
    }
}

call! {
    /// What is said of up to 100 friends, by tag. Each has a result of its own; 30001: is no friend.
    args friends_by_id = "sns", "friend_get_list", again -> FoundFriends;
    FriendsById::new {
        from: String = "From_Account",
        friends: Names = "To_Account",
        tags: Names = "TagList",
    }
}

answer! {
    /// What is said of some friends.
    FoundFriends {
        /// One for each user of the request.
        friends: Vec<FoundFriend> = "InfoItem",
    }
}

answer! {
    /// What is said of a friend.
    FoundFriend {
        /// The user.
        user: String = "To_Account",
        /// The tags that were asked for and are set.
        tags: Vec<Tag> = "SnsProfileItem",
        /// 0, or why there are no tags.
        code: u32 = "ResultCode",
        /// What went wrong.
        info: String = "ResultInfo",
    }
}

call! {
    /// A page of the friends of a user, from this index on, the first one being 0.
    request friends = "sns", "friend_get", again -> FriendPage;
    ListFriends::new {
        from: String = "From_Account",
        start: u32 = "StartIndex",
        ;
        /// The sequence of the fields of the vendor that the caller has already: they are left out if nothing has changed.
        standard_sequence: u64 = "StandardSequence",
        /// The same for fields of the application.
        custom_sequence: u64 = "CustomSequence",
    }
}

impl ListFriends {
    /// The request for the page behind this one; `None` if that was the last one.
    #[must_use]
    pub fn after(self, page: &FriendPage) -> Option<Self> {
        let start = page.next;
        (!page.is_complete && start > self.start).then_some(Self { start, ..self })
    }
}

answer! {
    /// A page of friends.
    FriendPage {
        /// The friends.
        friends: Vec<Friend> = "UserDataItem",
        /// How many the user has.
        total: u64 = "FriendNum",
        /// Whether this is the last page.
        is_complete: bool = "CompleteFlag" with "crate::wire::flag",
        /// Where the next page begins.
        next: u32 = "NextStartIndex",
        /// The sequence of the fields of the vendor.
        standard_sequence: u64 = "StandardSequence",
        /// The sequence of the fields of the application.
        custom_sequence: u64 = "CustomSequence",
    }
}

answer! {
    /// A friend.
    Friend {
        /// The user.
        user: String = "To_Account",
        /// What is said of the friend.
        tags: Vec<Tag> = "ValueItem",
    }
}

call! {
    /// Makes lists of friends, up to 32 a user, and puts friends into them. 30011: there are too many.
    request add_friend_lists = "sns", "group_add", once -> AddedFriendLists;
    AddFriendLists::new {
        from: String = "From_Account",
        lists: Names = "GroupName",
        ;
        /// Who goes into each of them, at most 1,000. Each has a result of its own; 32216: is no friend.
        friends: Names = "To_Account",
    }
}

answer! {
    /// What came of making lists.
    AddedFriendLists {
        /// One for each friend of the request.
        results: Vec<UserResult> = "ResultItem",
        /// The sequence of the lists.
        sequence: u64 = "CurrentSequence",
    }
}

call! {
    /// Removes lists of friends. The friends stay.
    args delete_friend_lists = "sns", "group_delete", once -> DeletedFriendLists;
    DeleteFriendLists::new {
        from: String = "From_Account",
        lists: Names = "GroupName",
    }
}

answer! {
    /// The lists are removed.
    DeletedFriendLists {
        /// The sequence of the lists.
        sequence: u64 = "CurrentSequence",
    }
}

call! {
    /// The lists in which a user keeps friends.
    request friend_lists = "sns", "group_get", again -> FriendLists;
    ListFriendLists::of {
        from: String = "From_Account",
        ;
        /// Whether to say who is in them.
        with_friends: NeedFriend = "NeedFriend",
        /// These lists only.
        lists: Names = "GroupName",
    }
}

answer! {
    /// Lists of friends.
    FriendLists {
        /// The lists.
        lists: Vec<FriendList> = "ResultItem",
        /// Their sequence.
        sequence: u64 = "CurrentSequence",
    }
}

answer! {
    /// A list of friends.
    FriendList {
        /// Its name.
        name: String = "GroupName",
        /// How many are in it.
        count: u64 = "FriendNumber",
        /// Who is in it, if that was asked for.
        friends: Vec<String> = "To_Account",
    }
}
