//! The calls of an application, one by one.

use std::rc::Rc;

use tim_client::{
    Client, CreateGroup, Decision, GroupApplication, ImError, Limits, MENTION_ALL, MemberListOptions,
    Message, OfflinePush, SendOptions, Status, UpdateGroupProfile,
};
use tim_proto::message::{Custom, Face, Text, to_vec};
use tim_proto::{
    ConversationId, GroupId, InviteOption, JoinOption, MemberResult, Payload, Priority, ReceiveOption, Role,
    UserId,
};

use super::{KeptMessage, Own, Prepared, Running, SdkDevice, files};
use crate::simulator::files::{content_of, with_uploaded};
use crate::simulator::history::{FileOf, Log, Mark, Returned, Said, Sent};
use crate::simulator::op::{Body, Call, Mention, Plan, Target, Which};
use crate::simulator::seen;

/// The parts of a population, for references.
impl SdkDevice {
    fn named(&self, user: u8) -> UserId {
        let users = self.shared.plan.population.users.len().max(1) as u8;
        Plan::user(user % users)
    }

    fn named_all(&self, users: &[u8]) -> Vec<UserId> {
        users.iter().map(|user| self.named(*user)).collect()
    }

    fn conversation(&self, target: Target) -> ConversationId {
        match target {
            Target::User(user) => ConversationId::C2c(self.named(user)),
            Target::Group(group) => ConversationId::Group(Plan::group(group)),
            Target::System => ConversationId::System,
        }
    }

    pub(super) fn log(&self, target: Target) -> Log {
        Log::of(self.user(), self.conversation(target))
    }

    /// Finds the objects of a call and makes it. `Err`: there is none.
    pub(super) fn prepare(
        self: &Rc<Self>,
        running: &Rc<Running>,
        step: u32,
        op: &Call,
    ) -> Result<Prepared, &'static str> {
        let client = running.client.clone();
        match op {
            Call::Send {
                to,
                body,
                priority,
                online_only,
                mention,
                retry_ms,
            } => {
                let mark = Mark(step);
                let silent = self.shared.plan.disables_push(mark).then(|| OfflinePush {
                    disable_push: true,
                    ..OfflinePush::default()
                });
                let options = SendOptions {
                    online_user_only: *online_only,
                    offline_push: silent,
                    ..SendOptions::default()
                }
                .retry_for(std::time::Duration::from_millis((*retry_ms).into()));
                let made = self
                    .make(&client, *to, *body, mark, mention)
                    .and_then(|message| message.with_priority(Priority(*priority)));
                Ok(self.send_new(running, mark, made, options))
            }
            Call::Forward { which, to } => {
                let of = self
                    .find_file(running, *which)
                    .ok_or("there is no such message")?;
                let file = files::mark_of(&of).and_then(|mark| self.shared.file_of(mark));
                let file = file.ok_or("nothing is known of its file")?;
                let mark = Mark(step);
                self.shared.carries(mark, file);
                let made = files::forward(&client, self.conversation(*to), mark, file, &of);
                Ok(self.send_new(running, mark, made, SendOptions::default()))
            }
            Call::Download {
                which,
                part,
                from,
                again_after,
            } => {
                let message = self
                    .find_file(running, *which)
                    .ok_or("there is no such message")?;
                let device = Rc::clone(self);
                Ok(done(files::download_of(
                    device,
                    client,
                    message,
                    *part,
                    *from,
                    *again_after,
                )))
            }
            Call::CancelUpload(n) => {
                let message = self.unsent_file(running, *n).ok_or("there is no such message")?;
                Ok(done(async move {
                    client.cancel_upload(&message).await?;
                    Ok(Returned::Done)
                }))
            }
            Call::Resend(n) => {
                let all = running.own.borrow();
                let failed: Vec<&Own> = all
                    .iter()
                    .rev()
                    .filter(|own| own.message.status() != Status::Success)
                    .collect();
                let own = pick(&failed, *n).ok_or("no own message has failed")?;
                let (message, mark) = (own.message.clone(), own.mark);
                drop(failed);
                drop(all);
                self.attach_again(running, mark, &message);
                let sent = self.sent(
                    &message,
                    mark,
                    message
                        .view()
                        .envelope
                        .flags
                        .contains(tim_proto::message::MessageFlags::ONLINE_ONLY),
                );
                Ok(self.send(running, message.clone(), mark, Some(sent), async move {
                    client.resend_message(&message).await.map(|_| ())
                }))
            }
            Call::ResendKept(n) => {
                let (mark, bytes) = {
                    let mut all = running.own.borrow_mut();
                    let newest: Vec<usize> = (0..all.len())
                        .rev()
                        .filter(|at| all[*at].message.status() == Status::Success)
                        .collect();
                    let at = *pick(&newest, *n).ok_or("no own message has succeeded")?;
                    let own = all.remove(at);
                    // The application forgets the instance, so that the kept bytes become another one.
                    for held in running.held.borrow_mut().values_mut() {
                        held.retain(|message| !message.is_same(&own.message));
                    }
                    (own.mark, own.before)
                };
                let message = match client.restore_message(&bytes) {
                    Ok(message) => message,
                    Err(error) => {
                        return Ok(Prepared {
                            sent: None,
                            future: Box::pin(async { Err(error) }),
                        });
                    }
                };
                running.own.borrow_mut().push(Own {
                    mark,
                    message: message.clone(),
                    before: bytes,
                    progress: None,
                });
                self.attach_again(running, mark, &message);
                let sent = self.sent(&message, mark, false);
                Ok(self.send(running, message.clone(), mark, Some(sent), async move {
                    client.resend_message(&message).await.map(|_| ())
                }))
            }
            Call::Revoke(which) => {
                let message = self.find(running, *which).ok_or("there is no such message")?;
                let (log, sequence) = (
                    Log::of(self.user(), message.conversation_id()),
                    message.sequence(),
                );
                let mark = files::mark_of(&message);
                Ok(done(async move {
                    client.revoke_message(&message).await?;
                    Ok(Returned::Revoked { log, sequence, mark })
                }))
            }
            Call::ReadUpTo(target, n) => {
                let (log, conversation) = (self.log(*target), self.conversation(*target));
                let newest = running.newest(log);
                let sequence = pick(&newest, *n).ok_or("there is no such message")?.sequence();
                Ok(done(async move {
                    let read = client.set_message_read_up_to(conversation, sequence).await?;
                    Ok(Returned::Read {
                        log,
                        read_sequence: Some(read.read_sequence),
                        unread: Some(read.unread_count.into()),
                    })
                }))
            }
            Call::AnswerApplication(group, user, accept) => {
                let application = self.application(running, Plan::group(*group), self.named(*user));
                let decision = decision(*accept);
                Ok(done(async move {
                    client.handle_group_application(application, decision, "").await?;
                    Ok(Returned::Done)
                }))
            }
            _ => Ok(self.plain(running, op)),
        }
    }

    /// Calls whose objects need not exist.
    fn plain(self: &Rc<Self>, running: &Rc<Running>, op: &Call) -> Prepared {
        let client = running.client.clone();
        let me = self.user();
        let device = Rc::clone(self);
        let life = Rc::clone(running);
        let op = op.clone();
        done(async move {
            let named = |user: &u8| device.named(*user);
            Ok(match &op {
                Call::Login => {
                    let sig = device.sig(device.shared.plan.settings.sig_seconds);
                    client.set_user_sig(sig).await?;
                    device.wants_in.set(true);
                    let answer = client.login().await;
                    if let Err(error) = &answer
                        && error.code != tim_proto::ErrorCode::REPEAT_LOGIN
                    {
                        device.wants_in.set(false);
                        device.drop_sig(error.code);
                    }
                    Returned::LoggedIn {
                        account: answer?.account,
                    }
                }
                Call::Logout => {
                    device.wants_in.set(false);
                    client.logout().await?;
                    Returned::Done
                }
                Call::SetUserSig { seconds } => {
                    let sig = device.shared.user_sig(me, u64::from(*seconds));
                    let text = sig.text.clone();
                    device.kept.borrow_mut().sig = Some(sig);
                    client.set_user_sig(text).await?;
                    Returned::Done
                }
                Call::Read(target) => {
                    let log = device.log(*target);
                    let read = client.set_message_read(device.conversation(*target)).await?;
                    Returned::Read {
                        log,
                        read_sequence: Some(read.read_sequence),
                        unread: Some(read.unread_count.into()),
                    }
                }
                Call::DeleteConversation(target) => {
                    client.delete_conversation(device.conversation(*target)).await?;
                    Returned::Read {
                        log: device.log(*target),
                        read_sequence: None,
                        unread: None,
                    }
                }
                Call::List | Call::Latest(_) => {
                    let depth = match &op {
                        Call::Latest(count) => u32::from(*count).max(1),
                        _ => Limits::new().conversations(),
                    };
                    life.depth.set(depth as usize);
                    let list = client.get_latest_conversations(depth).await?;
                    let entries: Vec<_> = list
                        .conversation_list
                        .iter()
                        .map(|entry| seen::of_conversation(me, entry))
                        .collect();
                    let last = list
                        .conversation_list
                        .iter()
                        .filter_map(|entry| entry.last_message.clone());
                    life.hold(me, &last.collect::<Vec<_>>());
                    life.show(&entries);
                    Returned::List {
                        entries,
                        truncated: list.is_truncated,
                    }
                }
                Call::Page { of, count, pages } => {
                    let conversation = device.conversation(*of);
                    let (messages, completed) = page_back(&client, conversation, *count, *pages).await?;
                    life.hold(me, &messages);
                    Returned::Page {
                        log: device.log(*of),
                        entries: seen::of_instances(me, &messages),
                        completed,
                    }
                }
                Call::ConversationProfile(target) => {
                    let profile = client
                        .get_conversation_profile(device.conversation(*target))
                        .await?;
                    Returned::List {
                        entries: vec![seen::of_conversation(me, &profile.conversation.conversation)],
                        truncated: true,
                    }
                }
                Call::UserProfiles(users) => {
                    nicks(&client.get_user_profile(&device.named_all(users)).await?.profiles)
                }
                Call::SetNick(n) => nicks(&[client
                    .update_my_profile(Some(&format!("nick-{n}")), None)
                    .await?
                    .profile]),
                Call::Groups => {
                    let list = client.get_group_list().await?.group_list;
                    Returned::Groups(list.iter().map(|group| seen::of_group(group)).collect())
                }
                Call::GroupProfile(group) => Returned::Group(seen::of_group(
                    &client.get_group_profile(Plan::group(*group)).await?.group,
                )),
                Call::Members(group) => {
                    let group = Plan::group(*group);
                    Returned::Members {
                        group,
                        members: members(&client, group)
                            .await?
                            .iter()
                            .map(seen::of_member)
                            .collect(),
                    }
                }
                Call::CreateGroup {
                    group,
                    members,
                    join,
                    invite,
                } => {
                    let types = &device.shared.plan.population.groups;
                    let group_type = types
                        .get(usize::from(*group))
                        .copied()
                        .unwrap_or(tim_proto::GroupType::PUBLIC);
                    let request = CreateGroup {
                        group_id: Some(Plan::group(*group)),
                        members: device.named_all(members),
                        join_option: JoinOption(*join),
                        invite_option: InviteOption(*invite),
                        ..CreateGroup::new(group_type, format!("group {group}"))
                    };
                    client.create_group(request).await?;
                    Returned::Done
                }
                Call::Join(group) => {
                    let joined = client.join_group(Plan::group(*group), "").await?;
                    Returned::Joined(joined.status.0.into())
                }
                Call::Quit(group) => {
                    client.quit_group(Plan::group(*group)).await?;
                    Returned::Done
                }
                Call::Invite(group, users) => {
                    let added = client
                        .add_group_member(Plan::group(*group), &device.named_all(users))
                        .await?;
                    let mut outcomes = all(&added.success, MemberResult::ADDED);
                    outcomes.extend(all(&added.existed, MemberResult::ALREADY_MEMBER));
                    outcomes.extend(
                        added
                            .waiting
                            .iter()
                            .chain(&added.failed)
                            .map(|it| (it.user, it.result.0.into())),
                    );
                    Returned::Outcomes(outcomes)
                }
                Call::Remove(group, users) => {
                    let removed = client
                        .delete_group_member(Plan::group(*group), &device.named_all(users), "")
                        .await?;
                    let mut outcomes = all(&removed.removed, MemberResult::REMOVED);
                    outcomes.extend(removed.failed.iter().map(|it| (it.user, it.result.0.into())));
                    Returned::Outcomes(outcomes)
                }
                Call::Ban(group, users, seconds) => {
                    let users = device.named_all(users);
                    let banned = client
                        .ban_group_member(Plan::group(*group), &users, *seconds, "")
                        .await?;
                    let mut outcomes = all(&banned.success, MemberResult::REMOVED);
                    outcomes.extend(banned.failed.iter().map(|it| (it.user, it.result.0.into())));
                    Returned::Outcomes(outcomes)
                }
                Call::Unban(group, users) => {
                    let banned = client
                        .unban_group_member(Plan::group(*group), &device.named_all(users))
                        .await?;
                    let mut outcomes = all(&banned.success, MemberResult::REMOVED);
                    outcomes.extend(banned.failed.iter().map(|it| (it.user, it.result.0.into())));
                    Returned::Outcomes(outcomes)
                }
                Call::SetAdmin(group, user, admin) => {
                    let role = if *admin { Role::ADMIN } else { Role::MEMBER };
                    client
                        .set_group_member_role(Plan::group(*group), named(user), role)
                        .await?;
                    Returned::Done
                }
                Call::Mute(group, user, seconds) => {
                    client
                        .set_group_member_mute_time(Plan::group(*group), named(user), *seconds)
                        .await?;
                    Returned::Done
                }
                Call::MuteAll(group, mute) => {
                    let update = UpdateGroupProfile {
                        mute_all: Some(*mute),
                        ..UpdateGroupProfile::default()
                    };
                    client.update_group_profile(Plan::group(*group), update).await?;
                    Returned::Done
                }
                Call::ChangeOwner(group, user) => {
                    client
                        .change_group_owner(Plan::group(*group), named(user))
                        .await?;
                    Returned::Done
                }
                Call::Rename(group, n) => {
                    let update = UpdateGroupProfile {
                        name: Some(format!("name {n}")),
                        ..UpdateGroupProfile::default()
                    };
                    client.update_group_profile(Plan::group(*group), update).await?;
                    Returned::Done
                }
                Call::SetJoinOption(group, option) => {
                    let update = UpdateGroupProfile {
                        join_option: Some(JoinOption(*option)),
                        ..UpdateGroupProfile::default()
                    };
                    client.update_group_profile(Plan::group(*group), update).await?;
                    Returned::Done
                }
                Call::Dismiss(group) => {
                    client.dismiss_group(Plan::group(*group)).await?;
                    Returned::Done
                }
                Call::AnswerInvitation(group, accept) => {
                    client
                        .handle_group_invitation(Plan::group(*group), decision(*accept), "")
                        .await?;
                    Returned::Done
                }
                Call::NameCard(group, user, n) => {
                    let card = format!("card-{n}");
                    client
                        .set_group_member_name_card(Plan::group(*group), named(user), &card)
                        .await?;
                    Returned::Done
                }
                Call::ReceiveOption(group, option) => {
                    let option = match option {
                        0 => ReceiveOption::ACCEPT_AND_NOTIFY,
                        1 => ReceiveOption::DISCARD,
                        _ => ReceiveOption::ACCEPT_NOT_NOTIFY,
                    };
                    client
                        .set_message_remind_type(Plan::group(*group), option)
                        .await?;
                    Returned::Done
                }
                Call::RegisterPush(number, enabled) => {
                    let (platform, token) = Call::token(*number);
                    client.register_push(platform, &token, *enabled).await?;
                    Returned::Done
                }
                Call::UnregisterPush(number) => {
                    let (platform, token) = Call::token(*number);
                    client.unregister_push(platform, &token).await?;
                    Returned::Done
                }
                // Made by `prepare`.
                Call::Send { .. }
                | Call::SendKept { .. } // only firmware
                | Call::ResendOutbox
                | Call::Resend(_)
                | Call::ResendKept(_)
                | Call::Revoke(_)
                | Call::Forward { .. }
                | Call::Download { .. }
                | Call::CancelUpload(_)
                | Call::ReadUpTo(..)
                | Call::AnswerApplication(..) => Returned::Done,
                // Not made by devices.
                Call::Rest(_) => Returned::Done,
            })
        })
    }

    /// Sends a message that was made. It is kept before it is sent, with its options.
    fn send_new(
        &self,
        running: &Rc<Running>,
        mark: Mark,
        made: Result<Message, ImError>,
        options: SendOptions,
    ) -> Prepared {
        let message = match made.and_then(|message| message.with_options(options.clone())) {
            Ok(message) => message,
            Err(error) => {
                return Prepared {
                    sent: None,
                    future: Box::pin(async { Err(error) }),
                };
            }
        };
        let before = message.to_bytes();
        let (message, progress) = Self::watch(message);
        if self.shared.plan.settings.keeps {
            self.kept.borrow_mut().own.push(KeptMessage {
                mark,
                before: before.clone(),
                now: before.clone(),
            });
        }
        running.own.borrow_mut().push(Own {
            mark,
            before,
            message: message.clone(),
            progress,
        });
        let online_only = options.online_user_only;
        let sent = self.sent(&message, mark, online_only);
        let client = running.client.clone();
        self.send(running, message.clone(), mark, Some(sent), async move {
            client.send_message(&message, options).await.map(|_| ())
        })
    }

    fn make(
        &self,
        client: &Client,
        to: Target,
        body: Body,
        mark: Mark,
        mention: &Mention,
    ) -> Result<Message, ImError> {
        let to = self.conversation(to);
        match body {
            Body::Text(len) => {
                let mentioned = match mention {
                    Mention::Nobody => Vec::new(),
                    Mention::Users(users) => self.named_all(users),
                    Mention::All => vec![MENTION_ALL],
                };
                client.create_text_at_message(to, &mark.text_of(len.into()), &mentioned)
            }
            Body::Custom(len) => with_custom(mark, len, |custom| client.create_custom_message(to, custom)),
            Body::Face => client.create_face_message(to, mark.0, &mark.text()),
            Body::File(body) => {
                let file = Self::new_file(mark, body);
                self.shared.carries(mark, file);
                files::make(client, to, mark, file)
            }
        }
    }

    fn sent(&self, message: &Message, mark: Mark, online_only: bool) -> Sent {
        let payload = message.payload();
        Sent {
            log: Log::of(self.user(), message.conversation_id()),
            from: self.user(),
            id: message.id(),
            said: Said {
                mark: Some(mark),
                ..Said::of(payload.kind(), &to_vec(&payload))
            },
            online_only,
            file: self.shared.file_of(mark),
        }
    }

    fn send(
        &self,
        running: &Rc<Running>,
        message: Message,
        mark: Mark,
        sent: Option<Sent>,
        sending: impl Future<Output = Result<(), ImError>> + 'static,
    ) -> Prepared {
        let (me, life) = (self.user(), Rc::clone(running));
        Prepared {
            sent,
            future: Box::pin(async move {
                sending.await?;
                life.hold(me, std::slice::from_ref(&message));
                Ok(Returned::Accepted {
                    log: Log::of(me, message.conversation_id()),
                    sequence: message.sequence(),
                    id: message.id(),
                    time_s: message.time(),
                    mark,
                })
            }),
        }
    }

    fn find(&self, running: &Running, which: Which) -> Option<Message> {
        match which {
            Which::Own(n) => {
                let own = running.own.borrow();
                let newest: Vec<&Own> = own.iter().rev().collect();
                pick(&newest, n).map(|own| own.message.clone())
            }
            Which::Of(target, n) => pick(&running.newest(self.log(target)), n).cloned(),
        }
    }

    /// The application of a user: that of a notice, or the user's newest.
    fn application(&self, running: &Running, group: GroupId, user: UserId) -> GroupApplication {
        let notices = running.newest(Log::System(self.user()));
        let known = notices
            .iter()
            .filter_map(|notice| GroupApplication::try_from(notice).ok());
        known
            .into_iter()
            .find(|known| known.group() == group && known.applicant() == user)
            .unwrap_or_else(|| GroupApplication::new(group, user))
    }
}

/// The n-th of these, counted around.
pub(super) fn pick<T>(of: &[T], n: u16) -> Option<&T> {
    of.get(usize::from(n).checked_rem(of.len())?)
}

fn done(future: impl Future<Output = Result<Returned, ImError>> + 'static) -> Prepared {
    Prepared {
        sent: None,
        future: Box::pin(future),
    }
}

const fn decision(accept: bool) -> Decision {
    if accept { Decision::Agree } else { Decision::Reject }
}

fn all(users: &[UserId], result: MemberResult) -> Vec<(UserId, u32)> {
    users.iter().map(|user| (*user, result.0.into())).collect()
}

fn nicks(profiles: &[tim_client::UserProfile]) -> Returned {
    Returned::Nicks(
        profiles
            .iter()
            .map(|profile| (profile.id, profile.nick.clone()))
            .collect(),
    )
}

/// Passes a custom message with this mark.
pub(crate) fn with_custom<T>(mark: Mark, len: u16, make: impl FnOnce(Custom<'_>) -> T) -> T {
    let data = mark.text_of(len.into());
    make(Custom::default().with_data(&data))
}

/// Passes a payload with this mark.
pub(crate) fn with_payload<T>(body: Body, mark: Mark, make: impl FnOnce(Payload<'_>) -> T) -> T {
    let text = |len: u16| mark.text_of(len.into());
    match body {
        Body::Text(len) => make(Text::new(&text(len)).into()),
        Body::Custom(len) => with_custom(mark, len, |custom| make(custom.into())),
        Body::Face => make(Face::new(mark.0).with_data(&mark.text()).into()),
        // Before it is uploaded.
        Body::File(body) => {
            let file = FileOf { origin: mark, body };
            with_uploaded(mark, file, "", content_of(file).len() as u64, make)
        }
    }
}

/// Pages back through a conversation. Returns the messages, oldest first, and whether the beginning was reached.
pub(crate) async fn page_back(
    client: &Client,
    conversation: ConversationId,
    count: u8,
    pages: u8,
) -> Result<(Vec<Message>, bool), ImError> {
    let (mut messages, mut next) = (Vec::new(), None);
    for _ in 0..pages.max(1) {
        let page = client
            .get_message_list(conversation, next.as_ref(), Some(u32::from(count.max(1))))
            .await?;
        let mut older = page.message_list;
        older.append(&mut messages);
        messages = older;
        if page.is_completed {
            return Ok((messages, true));
        }
        next = Some(page.next_req_message_id);
    }
    Ok((messages, false))
}

/// All members of a group.
async fn members(client: &Client, group: GroupId) -> Result<Vec<tim_client::GroupMember>, ImError> {
    let (mut members, mut options) = (Vec::new(), MemberListOptions::default());
    loop {
        let page = client.get_group_member_list(group, options.clone()).await?;
        members.extend(page.member_list);
        match page.next {
            Some(next) => options.next = Some(next),
            None => return Ok(members),
        }
    }
}
