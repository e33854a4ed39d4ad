//! What a check works with: users and groups of its own on the hub under test.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tim_client::{Client, ClientBuilder, CreateGroup, GroupId, GroupType, UserId};

use crate::check::{Stop, ensure};
use crate::person::Person;
use crate::spec::RawClient;
use crate::tap::{Connect, Tap};
use crate::target::{HubSettings, SeenPush, StartedHub, Target};

/// How long removing what a check made may take.
const CLEAN_UP: Duration = Duration::from_secs(10);

/// The users and groups of one check.
pub(crate) struct Lab {
    target: Target,
    /// Makes the ids of this check different from those of all others.
    tag: String,
    made: Mutex<Made>,
}

#[derive(Default)]
struct Made {
    clients: Vec<Client>,
    groups: Vec<(Client, GroupId)>,
}

impl Lab {
    pub(crate) fn new(target: Target, row: u16) -> Result<Self, Stop> {
        let random =
            getrandom::u32().map_err(|error| Stop::fail(format_args!("no random numbers: {error}")))?;
        Ok(Self {
            target,
            tag: format!("cf{row}-{random:08x}"),
            made: Mutex::default(),
        })
    }

    /// A user id of this check.
    pub(crate) fn user(&self, name: &str) -> Result<UserId, Stop> {
        Ok(UserId::new(&format!("{}-{name}", self.tag))?)
    }

    /// A hub of the same kind whose clock moves when it is told to, and a lab on it.
    pub(crate) async fn on_another_hub(
        &self,
        settings: HubSettings,
    ) -> Result<(Box<dyn StartedHub>, Self), Stop> {
        let factory = self.target.factory().ok_or_else(|| {
            Stop::NotApplicable("needs a hub whose clock and settings the suite controls".into())
        })?;
        let hub = factory.start(settings).await?;
        let lab = Self {
            target: hub.target(),
            tag: self.tag.clone(),
            made: Mutex::default(),
        };
        Ok((hub, lab))
    }

    /// The answer to a call of the hub's REST interface, if it has one that the suite can call.
    pub(crate) async fn rest(
        &self,
        command: &str,
        body: serde_json::Value,
    ) -> Result<serde_json::Value, Stop> {
        let Some(call) = self.target.rest(command, body) else {
            let what = "needs a hub whose REST interface the suite can call";
            return Err(Stop::NotApplicable(what.into()));
        };
        let answer = call.await?;
        ensure!(answer["ErrorCode"] == 0, "{command} is answered by {answer}");
        Ok(answer)
    }

    /// The notifications that the hub has sent for a user, if the suite can see them.
    pub(crate) fn pushes(&self, user: &UserId) -> Option<Vec<SeenPush>> {
        self.target.pushes(user)
    }

    /// Configures a client for a user.
    pub(crate) fn builder(&self, user: UserId) -> ClientBuilder {
        Client::builder(self.target.app(), user, self.target.sign(&user))
    }

    /// A client that is not logged in, and what it writes.
    pub(crate) fn client_with(
        &self,
        user: UserId,
        change: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> (Person, Tap) {
        let tap = Tap::default();
        let connector = Connect::new(self.target.clone(), tap.clone());
        let client = change(self.builder(user)).build(connector);
        self.made().clients.push(client.clone());
        (Person::new(client), tap)
    }

    /// A user on a new device, logged in and ready.
    pub(crate) async fn log_in(&self, name: &str) -> Result<Person, Stop> {
        Ok(self.log_in_with(name, |builder| builder).await?.0)
    }

    pub(crate) async fn log_in_with(
        &self,
        name: &str,
        change: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Result<(Person, Tap), Stop> {
        self.log_in_as(self.user(name)?, change).await
    }

    pub(crate) async fn log_in_as(
        &self,
        user: UserId,
        change: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Result<(Person, Tap), Stop> {
        let (person, tap) = self.client_with(user, change);
        person.enter().await?;
        Ok((person, tap))
    }

    /// Two users.
    pub(crate) async fn pair(&self) -> Result<(Person, Person), Stop> {
        Ok((self.log_in("alice").await?, self.log_in("bob").await?))
    }

    /// Two users and a group of them, whose owner is the first.
    pub(crate) async fn pair_in_group(&self) -> Result<(Person, Person, GroupId), Stop> {
        let (alice, bob) = self.pair().await?;
        let group = self.make_group(&alice, GroupType::PUBLIC, &[bob.user()]).await?;
        Ok((alice, bob, group))
    }

    /// The hub under test.
    pub(crate) fn target(&self) -> Target {
        self.target.clone()
    }

    /// A client that is written from the specification of the wire, logged in.
    pub(crate) async fn raw(&self, name: &str) -> Result<RawClient, Stop> {
        self.raw_as(self.user(name)?).await
    }

    pub(crate) async fn raw_as(&self, user: UserId) -> Result<RawClient, Stop> {
        let link = self.target.connect().await?;
        RawClient::log_in(link, self.target.app(), user.as_str(), &self.target.sign(&user)).await
    }

    /// A group whose id the hub makes.
    pub(crate) async fn make_group(
        &self,
        owner: &Person,
        group_type: GroupType,
        members: &[UserId],
    ) -> Result<GroupId, Stop> {
        let mut wanted = CreateGroup::new(group_type, "conformance");
        wanted.members = members.to_vec();
        self.make_group_as(owner, wanted).await
    }

    pub(crate) async fn make_group_as(&self, owner: &Person, wanted: CreateGroup) -> Result<GroupId, Stop> {
        let group = owner.client.create_group(wanted).await?.group_id;
        self.made().groups.push((owner.client.clone(), group));
        Ok(group)
    }

    /// Dismisses the groups and logs out. What the hub refuses stays.
    pub(crate) async fn clean_up(&self) {
        let Made { clients, groups } = std::mem::take(&mut *self.made());
        let work = async {
            for (owner, group) in groups {
                let _ = owner.dismiss_group(group).await;
            }
            for client in clients {
                let _ = client.logout().await;
            }
        };
        let _ = tokio::time::timeout(CLEAN_UP, work).await;
    }

    fn made(&self) -> std::sync::MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
