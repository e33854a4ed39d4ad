//! Which user connects to which hub, and with which UserSig.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use tim_proto::{ConversationId, GroupId, UserId};
use tim_transport_std::address::TCP_PORT;
use tim_transport_std::tls::ClientTls;
use tim_transport_std::{Address, AnyConnector, ConnectOptions};
use tim_usersig::{App, Claims, UserSig};

use crate::error::Failure;
use crate::local::{DEFAULT_APP_ID, DataArg, DataDir};
use crate::time::now;

/// The default address of a hub.
fn default_hub() -> Address {
    SocketAddr::from((Ipv4Addr::LOCALHOST, TCP_PORT)).into()
}

/// The lifetime of a UserSig signed with the local app key.
const SIG_SECONDS: u64 = 30 * 86_400;

/// The connection options, shared by all commands that connect to a hub.
#[derive(Debug, clap::Args)]
pub(crate) struct ConnectArgs {
    /// User to log in as [default: the user of the UserSig].
    #[arg(long = "as", value_name = "USER", env = "TIM_USER", hide_env_values = true)]
    user: Option<UserId>,
    /// UserSig to log in with [default: one signed with the app key in the data directory]. Other users of this machine can
    /// see it in the process list; the variable avoids that.
    #[arg(long, value_name = "USERSIG", env = "TIM_USER_SIG", hide_env_values = true)]
    sig: Option<String>,
    /// Address of the hub: tim://HOST:PORT or HOST:PORT, tims://HOST:PORT, ws://HOST:PORT/PATH, wss://HOST:PORT/PATH, unix:/PATH,
    /// serial:DEVICE?baud=SPEED. Of several hubs with one database, any will do: when the connection to one is lost, the next one is tried.
    /// Can be repeated, or separated by commas [default: the one in the data directory, else tim://127.0.0.1:7878].
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "TIM_HUB",
        hide_env_values = true,
        value_delimiter = ','
    )]
    hub: Vec<Address>,
    /// Application number (SDKAppID) [default: that of the UserSig, or of the data directory's hub].
    #[arg(
        long = "app",
        visible_alias = "app-id",
        value_name = "NUMBER",
        env = "TIM_APP_ID",
        hide_env_values = true
    )]
    app: Option<u32>,
    /// Time limit for the command's requests to the hub; for `tim chat` and `tim send --lines`, only for connecting.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    timeout: u32,
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    data: DataArg,
}

/// Which hubs are trusted, for those that have a certificate.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct TlsArgs {
    /// Trust hubs with a certificate of an authority in this PEM file, and no others [default: those that the system trusts].
    #[arg(long, value_name = "FILE", env = "TIM_TLS_CA", hide_env_values = true)]
    tls_ca: Option<PathBuf>,
    /// Name that the hub's certificate must be for [default: the host in the hub's address].
    #[arg(long, value_name = "NAME", env = "TIM_TLS_NAME", hide_env_values = true)]
    tls_name: Option<String>,
}

impl TlsArgs {
    /// A connector for the addresses of hubs, any of which will do.
    fn connector_among(&self, hubs: &Hubs) -> Result<AnyConnector, Failure> {
        // Without random numbers, the clients of a lost hub go on with the same one.
        let seed = getrandom::u64().unwrap_or_default();
        AnyConnector::among(&hubs.0, &self.options()?, seed).map_err(Failure::usage)
    }

    /// A connector for the address of a hub.
    pub(crate) fn connector(&self, hub: &Address) -> Result<AnyConnector, Failure> {
        AnyConnector::new(hub, &self.options()?).map_err(Failure::usage)
    }

    fn options(&self) -> Result<ConnectOptions, Failure> {
        let mut tls = ClientTls::new();
        if let Some(file) = &self.tls_ca {
            let trusting = tls.with_roots_from(file);
            tls = trusting.map_err(|error| {
                Failure::usage(error).hint("--tls-ca names a PEM file with the certificate of an authority")
            })?;
        }
        if let Some(name) = &self.tls_name {
            tls = tls.with_name(name);
        }
        Ok(ConnectOptions::new().with_tls(tls))
    }
}

/// What a login needs.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) user: UserId,
    pub(crate) user_sig: String,
    pub(crate) app: u32,
    pub(crate) hubs: Hubs,
    pub(crate) connector: AnyConnector,
    /// The time limit in seconds.
    pub(crate) timeout: u32,
}

/// The addresses of hubs of one installation; at least one.
#[derive(Debug, Clone)]
pub(crate) struct Hubs(Vec<Address>);

impl Hubs {
    /// How frames are framed: as on the first one. A serial port is not one of several.
    pub(crate) fn framing(&self) -> tim_session::Framing {
        self.0.first().map_or_else(Default::default, Address::framing)
    }
}

impl fmt::Display for Hubs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, hub) in self.0.iter().enumerate() {
            write!(f, "{}{hub}", if number > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

impl ConnectArgs {
    /// The hubs that are named, or this one.
    fn hubs_or(&self, local: impl FnOnce() -> Address) -> Hubs {
        Hubs(match self.hub.as_slice() {
            [] => vec![local()],
            named => named.to_vec(),
        })
    }

    /// Fills in the defaults.
    pub(crate) fn resolve(&self) -> Result<Login, Failure> {
        match &self.sig {
            Some(sig) => self.with_sig(sig.trim()),
            None => self.with_key(),
        }
    }

    /// The local data directory, if there is one.
    pub(crate) fn data(&self) -> Option<DataDir> {
        DataDir::new(self.data.data.clone()).ok()
    }

    fn with_sig(&self, sig: &str) -> Result<Login, Failure> {
        let claims = UserSig::inspect(sig).map_err(|fault| {
            Failure::credentials(format_args!("{fault} (error {})", fault.code()))
                .hint("`tim sig inspect` decodes a UserSig")
        })?;
        let Claims { user, app, .. } = claims;
        let local = if self.hub.is_empty() {
            self.local_hub()?
        } else {
            None
        };
        let hubs = self.hubs_or(|| local.unwrap_or_else(default_hub));
        Ok(Login {
            user: self.user.unwrap_or(user),
            user_sig: sig.to_owned(),
            app: self.app.or_else(|| app.try_into().ok()).unwrap_or(DEFAULT_APP_ID),
            connector: self.tls.connector_among(&hubs)?,
            hubs,
            timeout: self.timeout,
        })
    }

    fn with_key(&self) -> Result<Login, Failure> {
        let user = self
            .user
            .ok_or_else(|| Failure::usage("no user given").hint("pass --as USER, or set TIM_USER"))?;
        let data = DataDir::new(self.data.data.clone())?;
        let key = data.key()?.ok_or_else(|| {
            Failure::credentials(format_args!(
                "no UserSig given, and no app key in {}",
                data.path().display()
            ))
            .hint("pass a UserSig with --sig or TIM_USER_SIG, or run `tim serve` on this machine first")
        })?;
        let (hub, app) = data.endpoint()?.map_or_else(
            || (default_hub(), DEFAULT_APP_ID),
            |endpoint| (endpoint.address.0, endpoint.app_id),
        );
        let app = self.app.unwrap_or(app);
        let hubs = self.hubs_or(|| hub);
        Ok(Login {
            user,
            user_sig: UserSig::sign(&App::new(app, key), &user, now(), SIG_SECONDS),
            app,
            connector: self.tls.connector_among(&hubs)?,
            hubs,
            timeout: self.timeout,
        })
    }

    /// The address of the local hub, if there is one.
    fn local_hub(&self) -> Result<Option<Address>, Failure> {
        // Without a home directory there is no local hub.
        let Ok(data) = DataDir::new(self.data.data.clone()) else {
            return Ok(None);
        };
        Ok(data.endpoint()?.map(|endpoint| endpoint.address.0))
    }
}

/// The conversation option, shared by several commands.
#[derive(Debug, Clone, clap::Args)]
#[group(multiple = false)]
pub(crate) struct PeerArgs {
    /// The other user; @TIM#SYSTEM for system notices.
    peer: Option<UserId>,
    /// The group.
    #[arg(long, short, value_name = "GROUP")]
    group: Option<GroupId>,
}

impl PeerArgs {
    /// The conversation, if one is given.
    pub(crate) fn conversation(&self) -> Option<ConversationId> {
        self.peer
            .map(with)
            .or_else(|| self.group.map(ConversationId::Group))
    }

    /// The conversation, which is required.
    pub(crate) fn required(&self) -> Result<ConversationId, Failure> {
        self.conversation().ok_or_else(|| {
            Failure::usage("no conversation given").hint("name a user, or a group with --group GROUP")
        })
    }
}

/// The conversation with a user, or that of system notices.
pub(crate) fn with(user: UserId) -> ConversationId {
    if user == UserId::SYSTEM {
        ConversationId::System
    } else {
        ConversationId::C2c(user)
    }
}
