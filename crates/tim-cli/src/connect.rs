//! Who connects to which hub, with what to show for it.

use tim_proto::{ConversationId, GroupId, UserId};
use tim_usersig::{App, Claims, UserSig};

use crate::error::Failure;
use crate::local::{DEFAULT_APP_ID, DataArg, DataDir};
use crate::time::now;

/// Where a hub listens that nobody told otherwise.
const DEFAULT_HUB: &str = "127.0.0.1:7878";
/// For how long a UserSig is made that this machine's key signs: no longer than a session may last.
const SIG_SECONDS: u64 = 30 * 86_400;

/// Part of every command that talks to a hub.
#[derive(Debug, clap::Args)]
pub(crate) struct ConnectArgs {
    /// Who I am [default: whom the UserSig names].
    #[arg(long = "as", value_name = "USER", env = "TIM_USER", hide_env_values = true)]
    user: Option<UserId>,
    /// My UserSig [default: one signed with the app key in the data directory]. Others on this machine can see it in the
    /// list of processes; the variable avoids that.
    #[arg(long, value_name = "USERSIG", env = "TIM_USER_SIG", hide_env_values = true)]
    sig: Option<String>,
    /// Where the hub is [default: what `tim serve` wrote into the data directory, else 127.0.0.1:7878].
    #[arg(long, value_name = "HOST:PORT", env = "TIM_HUB", hide_env_values = true)]
    hub: Option<String>,
    /// The application's number [default: that of the UserSig, or of the data directory's hub].
    #[arg(
        long = "app",
        visible_alias = "app-id",
        value_name = "NUMBER",
        env = "TIM_APP_ID",
        hide_env_values = true
    )]
    app: Option<u32>,
    /// How long to wait for the hub before giving up: for all that a command asks of it; `tim chat` and `tim send --lines`
    /// only until they are connected.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    timeout: u32,
    #[command(flatten)]
    data: DataArg,
}

/// All that a login takes.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) user: UserId,
    pub(crate) user_sig: String,
    pub(crate) app: u32,
    pub(crate) hub: String,
    /// For how many seconds to wait for the hub.
    pub(crate) timeout: u32,
}

impl ConnectArgs {
    /// Finds what was not said.
    pub(crate) fn resolve(&self) -> Result<Login, Failure> {
        match &self.sig {
            Some(sig) => self.with_sig(sig.trim()),
            None => self.with_key(),
        }
    }

    /// The directory for what is kept on this machine, if there is one.
    pub(crate) fn data(&self) -> Option<DataDir> {
        DataDir::new(self.data.data.clone()).ok()
    }

    fn with_sig(&self, sig: &str) -> Result<Login, Failure> {
        let claims = UserSig::inspect(sig).map_err(|fault| {
            Failure::credentials(format_args!("{fault} (error {})", fault.code()))
                .hint("`tim sig inspect` shows what a UserSig says")
        })?;
        let Claims { user, app, .. } = claims;
        let hub = match &self.hub {
            Some(hub) => hub.clone(),
            None => self
                .local_hub()?
                .map_or_else(|| DEFAULT_HUB.to_owned(), |(hub, _)| hub),
        };
        Ok(Login {
            user: self.user.unwrap_or(user),
            user_sig: sig.to_owned(),
            app: self.app.or_else(|| app.try_into().ok()).unwrap_or(DEFAULT_APP_ID),
            hub,
            timeout: self.timeout,
        })
    }

    fn with_key(&self) -> Result<Login, Failure> {
        let user = self.user.ok_or_else(|| {
            Failure::usage("nobody said who you are").hint("add --as USER, or set TIM_USER")
        })?;
        let data = DataDir::new(self.data.data.clone())?;
        let key = data.key()?.ok_or_else(|| {
            Failure::credentials(format_args!(
                "there is no UserSig, and no app key in {}",
                data.path().display()
            ))
            .hint("give a UserSig with --sig or TIM_USER_SIG, or run `tim serve` on this machine first")
        })?;
        let (hub, app) = data.endpoint()?.map_or_else(
            || (DEFAULT_HUB.to_owned(), DEFAULT_APP_ID),
            |endpoint| (endpoint.address.to_string(), endpoint.app_id),
        );
        let app = self.app.unwrap_or(app);
        Ok(Login {
            user,
            user_sig: UserSig::sign(&App::new(app, key), &user, now(), SIG_SECONDS),
            app,
            hub: self.hub.clone().unwrap_or(hub),
            timeout: self.timeout,
        })
    }

    /// Where this machine's hub listens, and its application, if there is one.
    fn local_hub(&self) -> Result<Option<(String, u32)>, Failure> {
        // Without a home directory there is no local hub.
        let Ok(data) = DataDir::new(self.data.data.clone()) else {
            return Ok(None);
        };
        Ok(data
            .endpoint()?
            .map(|endpoint| (endpoint.address.to_string(), endpoint.app_id)))
    }
}

/// Which conversation a command is about.
#[derive(Debug, Clone, clap::Args)]
#[group(multiple = false)]
pub(crate) struct PeerArgs {
    /// The user at the other end; @TIM#SYSTEM for the system's notices.
    peer: Option<UserId>,
    /// The group.
    #[arg(long, short, value_name = "GROUP")]
    group: Option<GroupId>,
}

impl PeerArgs {
    /// The conversation, if one was named.
    pub(crate) fn conversation(&self) -> Option<ConversationId> {
        self.peer
            .map(with)
            .or_else(|| self.group.map(ConversationId::Group))
    }

    /// The conversation, which must be named.
    pub(crate) fn required(&self) -> Result<ConversationId, Failure> {
        self.conversation().ok_or_else(|| {
            Failure::usage("nobody said with whom").hint("name a user, or a group with --group GROUP")
        })
    }
}

/// The conversation with a user, or the system's.
pub(crate) fn with(user: UserId) -> ConversationId {
    if user == UserId::SYSTEM {
        ConversationId::System
    } else {
        ConversationId::C2c(user)
    }
}
