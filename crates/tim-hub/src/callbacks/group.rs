//! What the application is asked and told about groups and their members.

use serde_json::{Map, Value};
use tim_groups::rules::TypeRules;
use tim_groups::{GroupAction, GroupDelta, GroupPolicy, NewGroup};
use tim_proto::{GroupId, GroupType, UserId};

use super::message::{code, refusal, refused};
use super::{CallbackCommand, Callbacks, Decision, Platform, Unanswered};
use crate::refusal::Refusal;

/// The users of a list, as all bodies have them.
fn members<'u>(users: impl IntoIterator<Item = &'u UserId>) -> Value {
    let member = |user: &UserId| Map::from_iter([("Member_Account".to_owned(), user.as_str().into())]);
    users
        .into_iter()
        .map(|user| Value::Object(member(user)))
        .collect()
}

fn name_of(group_type: GroupType) -> Value {
    group_type.name().unwrap_or_default().into()
}

/// Something in a group that the application is asked about.
#[derive(Debug)]
pub(crate) enum Question {
    Create {
        operator: UserId,
        /// As it is to be.
        new: Box<NewGroup>,
        /// How many groups the owner has.
        owned: usize,
    },
    Join {
        group: GroupId,
        group_type: GroupType,
        user: UserId,
    },
    Invite {
        group: GroupId,
        group_type: GroupType,
        operator: UserId,
        /// Those who are no members yet.
        users: Vec<UserId>,
    },
}

impl Question {
    const fn command(&self) -> CallbackCommand {
        match self {
            Self::Create { .. } => CallbackCommand::BeforeCreateGroup,
            Self::Join { .. } => CallbackCommand::BeforeJoin,
            Self::Invite { .. } => CallbackCommand::BeforeInvite,
        }
    }

    fn body(&self, now_ms: u64) -> Map<String, Value> {
        let time = ("EventTime", now_ms.into());
        match self {
            Self::Create { operator, new, owned } => self.command().body([
                ("Operator_Account", operator.as_str().into()),
                ("Owner_Account", new.owner.as_str().into()),
                ("Type", name_of(new.group_type)),
                ("Name", new.name.as_str().into()),
                ("CreateGroupNum", (*owned).into()),
                ("MemberList", members(&new.members)),
                time,
            ]),
            Self::Join {
                group,
                group_type,
                user,
            } => self.command().body([
                ("GroupId", group.as_str().into()),
                ("Type", name_of(*group_type)),
                ("Requestor_Account", user.as_str().into()),
                time,
            ]),
            Self::Invite {
                group,
                group_type,
                operator,
                users,
            } => self.command().body([
                ("GroupId", group.as_str().into()),
                ("Type", name_of(*group_type)),
                ("Operator_Account", operator.as_str().into()),
                ("DestinationMembers", members(users)),
                time,
            ]),
        }
    }

    /// What an answer decides: whom of those who are invited the application refuses.
    fn verdict(&self, answer: &Map<String, Value>) -> Result<Decision<Vec<UserId>>, String> {
        match code(answer)? {
            0 => {}
            code => return refusal(answer, code, true).map(Decision::Refuse),
        }
        let Self::Invite { users, .. } = self else {
            return Ok(Decision::Go(None));
        };
        let named = match answer.get("RefusedMembers_Account") {
            None | Some(Value::Null) => return Ok(Decision::Go(None)),
            Some(Value::Array(named)) => named,
            Some(_) => return Err("its RefusedMembers_Account is no array".to_owned()),
        };
        let mut refused = Vec::new();
        for name in named {
            let name = name
                .as_str()
                .ok_or("its RefusedMembers_Account has something else than user ids")?;
            // Others are not invited anyway.
            refused.extend(users.iter().filter(|user| user.as_str() == name));
        }
        Ok(match refused.len() >= users.len() {
            true => Decision::Refuse(Refusal::new(super::message::refused(true), "")),
            false => Decision::Go(Some(refused)),
        })
    }
}

impl Callbacks {
    /// Asks the application about something in a group. [`Decision::Go`] has whom it refuses of those who are invited.
    pub(crate) async fn ask_group(
        &self,
        question: &Question,
        platform: Platform,
        now_ms: u64,
    ) -> Decision<Vec<UserId>> {
        let command = question.command();
        let decide = |answer: &Map<String, Value>| question.verdict(answer);
        let body = || question.body(now_ms);
        match self.ask(command, platform, body, decide).await {
            Ok(decision) => decision,
            Err(Unanswered::Stopping) => Decision::Stopping,
            Err(Unanswered::NoAnswer) if self.refuses_without_answer() => {
                let text = "the application could not be asked about this; try again later";
                Decision::Refuse(Refusal::new(refused(true), text))
            }
            Err(Unanswered::NoAnswer) => Decision::Go(None),
        }
    }
}

/// What the application is told of a group that is created.
#[derive(Debug)]
pub(crate) struct AfterCreate {
    callbacks: Callbacks,
    platform: Platform,
    body: Map<String, Value>,
}

impl AfterCreate {
    /// For a group that is about to be created, if the application wants to be told.
    pub(crate) fn new(
        callbacks: &Callbacks,
        operator: UserId,
        platform: Platform,
        new: &NewGroup,
        now_ms: u64,
    ) -> Option<Self> {
        let command = CallbackCommand::AfterCreateGroup;
        callbacks.wants(command).then(|| {
            let fields = new.fields.iter().map(|field| {
                let pair = [("Key", field.name.as_str()), ("Value", field.value.as_str())];
                let pair = pair.map(|(name, value)| (name.to_owned(), value.into()));
                Value::Object(Map::from_iter(pair))
            });
            let body = command.body([
                ("GroupId", new.group.as_str().into()),
                ("Operator_Account", operator.as_str().into()),
                ("Owner_Account", new.owner.as_str().into()),
                ("Type", name_of(new.group_type)),
                ("Name", new.name.as_str().into()),
                ("MemberList", members(&new.members)),
                ("UserDefinedDataList", fields.collect()),
                ("EventTime", now_ms.into()),
            ]);
            Self {
                callbacks: callbacks.clone(),
                platform,
                body,
            }
        })
    }

    /// It is there.
    pub(crate) fn created(self) {
        let command = CallbackCommand::AfterCreateGroup;
        self.callbacks.tell(command, self.platform, self.body);
    }
}

/// What the application is told of a change of a group, once it is known what it has changed.
#[derive(Debug)]
pub(crate) struct AfterChange {
    callbacks: Callbacks,
    actor: UserId,
    platform: Platform,
    /// Members leave by themselves.
    quits: bool,
    policy: GroupPolicy,
    now_ms: u64,
}

impl AfterChange {
    /// For a change that is about to be made, if there is an endpoint.
    pub(crate) fn new(
        callbacks: &Callbacks,
        (actor, platform): (UserId, Platform),
        action: &GroupAction,
        policy: GroupPolicy,
        now_ms: u64,
    ) -> Option<Self> {
        callbacks.are_there().then(|| Self {
            callbacks: callbacks.clone(),
            actor,
            platform,
            quits: matches!(action, GroupAction::Quit),
            policy,
            now_ms,
        })
    }

    /// It has changed this.
    pub(crate) fn changed(&self, delta: &GroupDelta) {
        if delta.dismissed {
            return self.dismissed(delta);
        }
        let group = delta.before.group;
        if !delta.joined.is_empty() {
            let by = delta.inviter.unwrap_or(self.actor);
            let how = if delta.inviter.is_some() {
                "Invited"
            } else {
                "Apply"
            };
            self.tell(CallbackCommand::AfterJoin, delta, || {
                [
                    ("JoinType", how.into()),
                    ("Operator_Account", by.as_str().into()),
                    ("NewMemberList", members(&delta.joined)),
                ]
            });
        }
        if !delta.left.is_empty() {
            let how = if self.quits { "Quit" } else { "Kicked" };
            self.tell(CallbackCommand::AfterExit, delta, || {
                [
                    ("ExitType", how.into()),
                    self.operator(),
                    ("ExitMemberList", members(&delta.left)),
                ]
            });
        }
        if self.is_full(delta) && self.callbacks.wants(CallbackCommand::AfterFull) {
            let body = CallbackCommand::AfterFull.body([
                ("GroupId", group.as_str().into()),
                ("EventTime", self.now_ms.into()),
            ]);
            self.callbacks
                .tell(CallbackCommand::AfterFull, self.platform, body);
        }
        if let Some(owner) = delta.owner {
            self.tell(CallbackCommand::AfterOwner, delta, || {
                [
                    self.operator(),
                    ("OldOwner_Account", delta.before.owner.as_str().into()),
                    ("NewOwner_Account", owner.as_str().into()),
                ]
            });
        }
        self.profile(delta);
    }

    fn operator(&self) -> (&'static str, Value) {
        ("Operator_Account", self.actor.as_str().into())
    }

    /// Tells of a change, if the application wants to be told, with these fields behind those that all have.
    fn tell<const N: usize>(
        &self,
        command: CallbackCommand,
        delta: &GroupDelta,
        fields: impl FnOnce() -> [(&'static str, Value); N],
    ) {
        if !self.callbacks.wants(command) {
            return;
        }
        let mut body = command.body([
            ("GroupId", delta.before.group.as_str().into()),
            ("Type", name_of(delta.before.group_type)),
            ("EventTime", self.now_ms.into()),
        ]);
        let fields = fields();
        body.extend(fields.map(|(name, value)| (name.to_owned(), value)));
        self.callbacks.tell(command, self.platform, body);
    }

    /// The members of a Community are not named: there may be very many.
    fn dismissed(&self, delta: &GroupDelta) {
        let before = &delta.before;
        let is_community = before.group_type == GroupType::COMMUNITY;
        let named = if is_community { &[] } else { delta.left.as_slice() };
        self.tell(CallbackCommand::AfterDismiss, delta, || {
            [
                ("Owner_Account", before.owner.as_str().into()),
                ("Name", before.name.as_str().into()),
                ("MemberList", members(named)),
            ]
        });
    }

    /// Whether the change has made the group full.
    fn is_full(&self, delta: &GroupDelta) -> bool {
        let before = &delta.before;
        let Ok(rules) = TypeRules::of_stored(before.group_type) else {
            return false;
        };
        let ceiling = rules.ceiling_of(&self.policy, before.max_members);
        let now = before.member_count.saturating_add(delta.joined.len() as u64);
        !delta.joined.is_empty() && ceiling.is_some_and(|ceiling| now >= u64::from(ceiling))
    }

    /// Of a profile the application is told of the texts that members see.
    fn profile(&self, delta: &GroupDelta) {
        let Some(profile) = &delta.profile else { return };
        let texts = [
            ("Name", &profile.name),
            ("Introduction", &profile.introduction),
            ("Notification", &profile.notification),
            ("FaceUrl", &profile.avatar),
        ];
        let command = CallbackCommand::AfterProfile;
        if !self.callbacks.wants(command) || texts.iter().all(|(_, text)| text.is_none()) {
            return;
        }
        let mut body = command.body([
            ("GroupId", delta.before.group.as_str().into()),
            ("Type", name_of(delta.before.group_type)),
            self.operator(),
            ("EventTime", self.now_ms.into()),
        ]);
        for (name, text) in texts {
            if let Some(text) = text {
                body.insert(name.to_owned(), text.as_str().into());
            }
        }
        self.callbacks.tell(command, self.platform, body);
    }
}

/// How users come into an AVChatRoom and leave it, of which nothing is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RoomMove {
    Joined,
    Quit,
    /// They were banned.
    Kicked,
}

impl Callbacks {
    /// Tells of users who have come into an AVChatRoom, or left it.
    pub(crate) fn moved(
        &self,
        (group, users): (GroupId, &[UserId]),
        how: RoomMove,
        (operator, platform): (UserId, Platform),
        now_ms: u64,
    ) {
        let (command, kind, list) = match how {
            RoomMove::Joined => (CallbackCommand::AfterJoin, ("JoinType", "Apply"), "NewMemberList"),
            RoomMove::Quit => (CallbackCommand::AfterExit, ("ExitType", "Quit"), "ExitMemberList"),
            RoomMove::Kicked => (
                CallbackCommand::AfterExit,
                ("ExitType", "Kicked"),
                "ExitMemberList",
            ),
        };
        if users.is_empty() || !self.wants(command) {
            return;
        }
        let body = command.body([
            ("GroupId", group.as_str().into()),
            ("Type", name_of(GroupType::AV_CHAT_ROOM)),
            (kind.0, kind.1.into()),
            ("Operator_Account", operator.as_str().into()),
            (list, members(users)),
            ("EventTime", now_ms.into()),
        ]);
        self.tell(command, platform, body);
    }
}
