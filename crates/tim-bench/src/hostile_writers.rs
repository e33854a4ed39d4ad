//! Hostile accounts that stay within what they may do, and do the dearest of it as often as they are let: they change groups, revoke what
//! they have just sent, or come back again and again to read everything from its beginning.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tim_proto::request::{CreateGroup, JoinGroup, QuitGroup, Request as _, Resume, Revoke, SendResponse};
use tim_proto::wire::{Encode, Frame, FrameKind, decode_body};
use tim_proto::{ConversationId, GroupId, GroupType, JoinOption, MessageId, UserId};
use tim_testkit::frame;
use tokio::time::sleep;

use crate::Result;
use crate::attackers::{Line, insist, login_bytes_from, source, text};
use crate::hub::Target;
use crate::prepare::READER;

/// Groups that a hostile account joins and leaves.
const GROUPS: u32 = 500;
/// How many requests are under way on a connection.
const UNDER_WAY: u32 = 8;
/// How long the hub has its rest after a refusal, which names a longer time.
const PAUSE: Duration = Duration::from_millis(5);

/// Requests with the same kind of answer, a few at a time.
struct Requests {
    line: Line,
    next: u32,
}

impl Requests {
    /// Makes these requests. `take` is given the answer of each, whatever it is.
    async fn make<'a>(
        &mut self,
        requests: impl Iterator<Item = (FrameKind, &'a dyn Encode)>,
        mut take: impl FnMut(u32, &Frame<'_>),
    ) -> Result<()> {
        let first = self.next;
        let mut bytes = Vec::new();
        for (kind, request) in requests {
            bytes.extend(frame(kind, self.next, &request));
            self.next += 1;
        }
        let mut open = self.next - first;
        self.line.say(&bytes).await?;
        while open > 0 {
            let answered = |frame: &Frame<'_>| match frame.id >= first && frame.kind != FrameKind::SYNCED {
                true if is_push(frame.kind) => None,
                true => {
                    take(frame.id - first, frame);
                    Some(())
                }
                false => None,
            };
            self.line.next(answered).await?;
            open -= 1;
        }
        Ok(())
    }
}

/// Whether it is no answer, whatever its id.
fn is_push(kind: FrameKind) -> bool {
    [FrameKind::DELIVER, FrameKind::CONVERSATION, FrameKind::GAP].contains(&kind)
}

async fn requests(target: &Target, name: &str, device: u64, class: u8) -> Requests {
    let line = insist(target, name, device, source(class, 0)).await;
    Requests { line, next: 2 }
}

fn group(number: u32) -> Option<GroupId> {
    GroupId::new(&format!("hostile-group-{number}")).ok()
}

/// Joins and leaves the groups of another hostile account.
pub(crate) async fn change_groups(target: Arc<Target>, device: u64, devices: u64) {
    let own = || {
        (0..GROUPS)
            .filter(move |number| u64::from(*number) % devices == device)
            .filter_map(group)
    };
    let create = |group| {
        CreateGroup::new(GroupType::PUBLIC, "hostile", device as u32)
            .with_group(group)
            .with_join_option(JoinOption::FREE_ACCESS)
    };
    let groups: Vec<_> = own().collect();
    let creates: Vec<_> = own().map(create).collect();
    let joins: Vec<_> = own().map(JoinGroup::new).collect();
    let quits: Vec<_> = own().map(QuitGroup::new).collect();
    let mut owner = requests(&target, "hostile-owner", device + 1, 10).await;
    let mut made = 0;
    while made < groups.len() {
        let request = creates
            .get(made)
            .map(|create| (CreateGroup::KIND, create as &dyn Encode));
        let mut is_made = false;
        let answered = owner.make(request.into_iter(), |_, frame| {
            is_made = frame.kind != FrameKind::ERROR
        });
        if answered.await.is_err() {
            owner = requests(&target, "hostile-owner", device + 1, 10).await;
        }
        made += usize::from(is_made);
        if !is_made {
            sleep(PAUSE).await;
        }
    }
    loop {
        let mut line = requests(&target, "hostile-changer", device + 1, 10).await;
        for (joins, quits) in joins
            .chunks(UNDER_WAY as usize)
            .zip(quits.chunks(UNDER_WAY as usize))
            .cycle()
        {
            let join = joins.iter().map(|join| (JoinGroup::KIND, join as &dyn Encode));
            let quit = quits.iter().map(|quit| (QuitGroup::KIND, quit as &dyn Encode));
            if line.make(join.chain(quit), |_, _| ()).await.is_err() {
                break;
            }
        }
    }
}

/// Sends messages and revokes them.
pub(crate) async fn revoke(target: Arc<Target>, device: u64) {
    let (name, peer) = ("hostile-revoker", "hostile-revoker-peer");
    let Ok(peer) = UserId::new(peer) else { return };
    let (app, sig) = (target.app.id, UserId::new(name).map(|user| target.sig(&user)));
    let Ok(sig) = sig else { return };
    loop {
        let Ok(address) = target.socket() else { return };
        let talk = async {
            let mut line = Line::open(source(11, 0), address).await?;
            let account = line
                .log_in(app, name, &sig, device + 1)
                .await?
                .map_err(|code| code.to_string())?;
            let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
            let mut random = device as u32 * 1_000_000 + (since.subsec_millis() * 1_000);
            loop {
                random += 1;
                let client_time = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
                let id = MessageId {
                    sender: account,
                    client_time,
                    random,
                };
                line.say(&text(&peer, id, 2, 157)).await?;
                let sent = |frame: &Frame<'_>| match frame.id == 2 {
                    true => Some(
                        decode_body::<SendResponse<'_>>(frame.body)
                            .ok()
                            .map(|sent| sent.sequence),
                    ),
                    false => None,
                };
                if let Some(sequence) = line.next(sent).await? {
                    let revoke = Revoke::new(ConversationId::C2c(peer), sequence);
                    line.say(&frame(FrameKind::REVOKE, 3, &revoke)).await?;
                    line.next(|frame| (frame.id == 3).then_some(())).await?;
                }
            }
        };
        let ended: Result<()> = talk.await;
        drop(ended);
        sleep(PAUSE).await;
    }
}

/// Reads what an account with very many conversations has from its beginning, again and again.
pub(crate) async fn resume(target: Arc<Target>, device: u64) {
    let Ok(user) = UserId::new(READER) else { return };
    let sig = target.sig(&user);
    for session in 1.. {
        let Ok(address) = target.socket() else { return };
        let read = async {
            let mut line = Line::open(source(12, 0), address).await?;
            let login = login_bytes_from(target.app.id, READER, &sig, device + 100, session, Resume::START)?;
            line.say(&login).await?;
            line.skip_hello().await?;
            line.next(|frame| match frame.kind {
                FrameKind::DELIVER => Some(true),
                FrameKind::ERROR | FrameKind::GOODBYE => Some(false),
                _ => None,
            })
            .await
        };
        let read: Result<bool> = read.await;
        if !read.unwrap_or(false) {
            sleep(PAUSE).await;
        }
    }
}
