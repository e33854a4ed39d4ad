//! Hostile accounts that stay within what they may do, and do the dearest of it as often as they are let: they change groups or tokens, revoke what
//! they have just sent, or come back again and again to read everything from its beginning.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tim_proto::message::to_vec;
use tim_proto::request::{
    self, CreateGroup, JoinGroup, PushPlatform, QuitGroup, Resume, Revoke, SendResponse, UnregisterPush,
};
use tim_proto::wire::{Encode, Frame, FrameKind, decode_body};
use tim_proto::{ConversationId, GroupId, GroupType, JoinOption, MessageId, UserId};
use tim_testkit::{frame, raw_frame};
use tokio::time::sleep;

use crate::Result;
use crate::attackers::{Line, insist, login_bytes_from, source, text};
use crate::hub::Target;
use crate::prepare::READER;

/// Groups that a hostile account joins and leaves.
const GROUPS: u32 = 500;
/// How many requests are under way on a connection.
const UNDER_WAY: usize = 8;
/// How long the hub has its rest after a refusal, which names a longer time.
const PAUSE: Duration = Duration::from_millis(5);

/// A request: its kind and its encoded body.
struct Request(FrameKind, Vec<u8>);

impl Request {
    fn of<R: request::Request + Encode>(request: &R) -> Self {
        Self(R::KIND, to_vec(request))
    }
}

/// Makes requests, a few at a time.
struct Requests {
    line: Line,
    next: u32,
}

impl Requests {
    /// Makes these requests, and waits for all answers, whatever they are. Returns how many of the requests were not refused.
    async fn make(&mut self, requests: &[Request]) -> Result<usize> {
        let first = self.next;
        let mut bytes = Vec::new();
        for Request(kind, body) in requests {
            bytes.extend(raw_frame(*kind, self.next, body));
            self.next += 1;
        }
        self.line.say(&bytes).await?;
        let mut done = 0;
        for _ in requests {
            let answered = |frame: &Frame<'_>| {
                let is_answer = frame.id >= first && !is_push(frame.kind);
                is_answer.then_some(frame.kind != FrameKind::ERROR)
            };
            done += usize::from(self.line.next(answered).await?);
        }
        Ok(done)
    }
}

/// Whether it is no answer, whatever its id.
fn is_push(kind: FrameKind) -> bool {
    [
        FrameKind::DELIVER,
        FrameKind::CONVERSATION,
        FrameKind::GAP,
        FrameKind::SYNCED,
    ]
    .contains(&kind)
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
    let numbers = (0..GROUPS).filter(|number| u64::from(*number) % devices == device);
    let numbers: Vec<u32> = numbers.collect();
    let groups: Vec<GroupId> = numbers.iter().copied().filter_map(group).collect();
    let create = |(group, number): (&GroupId, &u32)| {
        let create = CreateGroup::new(GroupType::PUBLIC, "hostile", *number);
        Request::of(
            &create
                .with_group(*group)
                .with_join_option(JoinOption::FREE_ACCESS),
        )
    };
    let creates: Vec<Request> = groups.iter().zip(&numbers).map(create).collect();
    let change = |groups: &[GroupId]| {
        let joins = groups.iter().map(|group| Request::of(&JoinGroup::new(*group)));
        let quits = groups.iter().map(|group| Request::of(&QuitGroup::new(*group)));
        joins.chain(quits).collect()
    };
    let changes: Vec<Vec<Request>> = groups.chunks(UNDER_WAY).map(change).collect();
    let mut owner = requests(&target, "hostile-owner", device + 1, 10).await;
    for create in &creates {
        loop {
            match owner.make(std::slice::from_ref(create)).await {
                Ok(0) => sleep(PAUSE).await,
                Ok(_) => break,
                Err(_) => owner = requests(&target, "hostile-owner", device + 1, 10).await,
            }
        }
    }
    loop {
        let mut line = requests(&target, "hostile-changer", device + 1, 10).await;
        for changes in changes.iter().cycle() {
            if line.make(changes).await.is_err() {
                break;
            }
        }
    }
}

/// Removes tokens of push services that there are not.
pub(crate) async fn unregister(target: Arc<Target>, device: u64) {
    let unregister = || Request::of(&UnregisterPush::new(PushPlatform::IOS, "hostile"));
    let all: Vec<Request> = (0..UNDER_WAY).map(|_| unregister()).collect();
    loop {
        let mut line = requests(&target, "hostile-unregistrar", device + 1, 13).await;
        while line.make(&all).await.is_ok() {}
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
