//! `tim serve`: runs a hub.

use std::future::Future;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use tim_hub::tls::HubTls;
use tim_hub::{Hub, HubError, HubOptions};
use tim_transport_std::Address;
use tim_usersig::App;
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::{check, store};
use crate::address::TextAddress;
use crate::config::{PartialSettings, Settings};
use crate::error::{EXIT_CODES, Failure};
use crate::file_place::{FilePlace, file_options};
use crate::listeners::Plan;
use crate::local::{DataArg, DataDir, Endpoint, check_key, key_from};
use crate::log;
use crate::needs;
use crate::notify::Manager;
use crate::outgoing;
use crate::push_sinks::{self, PushSinks};
use crate::serial_ports::SerialPorts;
use crate::session::block_on_threads;

const FILES: &str = "\
Each setting can be given as a flag, as a variable (TIM_ and the flag's name in capitals, with _ for -), or in a file. Flags
take precedence over variables, variables over the file, the file over the default. The file is the one of --config, else
serve.toml in the data directory if it exists; --print-config prints all settings in the format of the file.

A hub can listen at several addresses. Without TLS it listens at loopback addresses only, unless --allow-plaintext is given. At a
tims:// or wss:// address it needs --tls-cert and --tls-key; clients trust its authority by the system's list, or with --tls-ca. A Unix
socket can be used by whoever may write to its file (--socket-mode); the file is removed at a clean stop, and replaced if a killed hub
has left it behind.

At a ws:// or wss:// address it serves WebSocket, at the path of the address only. A reverse proxy in front of it is named with
--trusted-proxy, or else all of its clients share the limits of its address. The proxy has to pass on the headers Upgrade and
Connection, and must set the header of --proxy-header itself, as nginx does with
`proxy_set_header X-Forwarded-For $remote_addr;`.

With --http it serves the files of messages by HTTP, to anybody who has a URL that it has made for a user who may read the message. A
URL is signed with the app key and expires (--file-url-life). Each request checks that this user may still read the message: after a
revocation, or when the user has left the group, the answer is 404, and a download under way ends. At an https:// address it uses the certificate
of --tls-cert. Behind a --trusted-proxy, each client of the proxy has as many requests at a time as an address has connections otherwise.

With --admin it also serves the vendor's REST interface there, at /v4/: an application's own server makes accounts and sends messages in
the name of any user. A call carries a UserSig of an --admin, so the address needs TLS or a loopback address, as --listen does.

With --metrics it serves numbers for Prometheus at /metrics, on a listener of their own; /healthz says whether the process lives, and
/readyz whether the hub can store something now. The last two are served with --http, too.

With --files s3://BUCKET/PREFIX the content of files is kept in a bucket of an S3-compatible store. The bucket has to exist; at the start
the hub writes an object there and deletes it again, and says what to do if it cannot. The key needs s3:ListBucket, s3:GetObject,
s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload; it is in variables or in a file, never in a flag. Uploads under way are in the
data directory. While the store is slow or gone, chat goes on; a file that is ended or read is refused for now (200036), and can be ended
or read later. The object tim-files in the bucket and files/store-id in the data directory have the same id: a hub refuses to start with
another store, or with the store of another hub, until the files are copied there, with that object (aws s3 sync). A bucket rule should
abort incomplete multipart uploads after a day: a hub that is killed leaves them behind. Files that no message uses are removed from the
bucket as from the directory; after a start, all objects are looked at once, some thousand each minute.

With --callback-url the hub asks a server of the application before a message is taken or a group is changed, which the server may refuse,
and tells it of both afterwards, and of who is online. docs/callbacks.md has the requests and answers, which are the vendor's.

With --push-apns-key (iPhones), --push-vapid-key (browsers), and --push-webhook or --push-log (everything else), users who are offline are
notified of messages through the push services whose tokens their applications have registered. docs/push.md says of which messages, and
how to set up each of them.

Serial ports carry the same frames as TCP, each in a packet with a counter and a checksum (SPEC.md): noise, cuts and restarts
of either end cost a login, but no message. QEMU connects a guest's UART to --serial-tcp-listen with
`-chardev socket,host=127.0.0.1,port=PORT,id=line,reconnect=1 -serial chardev:line`.

SIGHUP reloads the file, the key, the variables, the certificate and the keys of push services, and opens the file of --push-log anew. The app key, the retention, the revoke window, the rates of sends,
requests and addresses, the administrators, the number of devices, what a user may store, how long unused accounts are kept and the log levels change at
once, and sessions continue; other settings take effect at the next start. New connections get the new certificate. If it does not work,
the old one stays in use. The tokens in --callback-token-file and --push-token-file are read again, too.

Files in the data directory: tim.sqlite3 (all messages), tim.log (those of the last moments, until they are in tim.sqlite3; empty
after a clean stop; it belongs in each copy of the directory), files (the files of messages unless --files names a bucket, and uploads under way), app.key (signs UserSigs; created at the first start, readable by its
owner only), app.key.old (while the key is replaced: UserSigs of this one are good, too), endpoint.toml (an address of the hub, for `tim chat` and other local commands), admin.sock (for `tim admin` and `tim backup`),
moved-to (written by `tim migrate`: where the messages are now; a hub without --store does not start).";

/// Run a hub: store conversations and deliver messages.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, after_long_help = format!("{FILES}\n\n{EXIT_CODES}"))]
pub(crate) struct Args {
    #[command(flatten)]
    data: DataArg,
    #[command(flatten)]
    settings: PartialSettings,
    /// The app key. Other users of this machine can see it in the process list; --key-file avoids that.
    #[arg(
        long,
        value_name = "KEY",
        env = "TIM_KEY",
        hide_env_values = true,
        conflicts_with = "key_file"
    )]
    key: Option<String>,
    /// File with the app key [default: app.key in the data directory, created if missing].
    #[arg(long, value_name = "FILE", env = "TIM_KEY_FILE", hide_env_values = true)]
    key_file: Option<PathBuf>,
    /// Read settings from this file.
    #[arg(long, value_name = "FILE", env = "TIM_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// Print the effective settings and exit.
    #[arg(long)]
    print_config: bool,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let data = DataDir::new(args.data.data)?;
    let sources = Sources {
        data: data.clone(),
        given: args.settings,
        config: args.config,
        key: args.key,
        key_file: args.key_file,
    };
    let mut settings = sources.settings()?;
    if args.print_config {
        settings.store = store::without_password(&settings.store);
        return Ok(write!(
            io::stdout(),
            "# Data directory: {}\n{}",
            data.path().display(),
            settings.to_toml()?
        )?);
    }
    needs::check(&settings)?;
    let levels = log::start(&settings.log, settings.log_format)?;
    data.create()?;
    settings.allow_connections()?;
    block_on_threads(serve(&settings, sources, levels))
}

/// The sources of the settings and the key, read at the start and on SIGHUP.
#[derive(Debug)]
struct Sources {
    data: DataDir,
    given: PartialSettings,
    config: Option<PathBuf>,
    key: Option<String>,
    key_file: Option<PathBuf>,
}

impl Sources {
    fn settings(&self) -> Result<Settings, Failure> {
        self.given
            .clone()
            .resolve(self.config.as_deref(), self.data.path())
    }

    /// The app key, created if the data directory has none.
    fn key_or_new(&self) -> Result<String, Failure> {
        if self.key.is_none() && self.key_file.is_none() && self.data.key_or_new()?.1 {
            self.tell_of_new_key();
        }
        self.key()
    }

    /// With a new key, nobody logs in with a UserSig of an earlier one.
    fn tell_of_new_key(&self) {
        let path = self.data.key_path();
        let path = path.display();
        match self.data.has_store() {
            true => warn!(
                "{path} was missing and is created anew: UserSigs that an earlier key has signed are void; restore it from a backup"
            ),
            false => info!("created the app key {path}"),
        }
    }

    fn key(&self) -> Result<String, Failure> {
        let key = match (&self.key, &self.key_file) {
            (Some(key), _) => key.clone(),
            (None, Some(path)) => key_from(path)?,
            (None, None) => self.data.key()?.ok_or_else(|| {
                let data = self.data.path().display();
                Failure::usage(format_args!("no app key in {data}"))
            })?,
        };
        check_key(&key, "the app key")?;
        self.warn_of_readers();
        Ok(key)
    }

    /// The options of the hub, with the key and the one that it replaces.
    fn hub_options(&self, settings: &Settings, key: String) -> Result<HubOptions, Failure> {
        let mut options = settings.hub_options(key);
        options.former_app = self.former_key()?.map(|key| App::new(settings.app_id, key));
        Ok(options)
    }

    /// The key that the app key replaces, if there is one: in a file beside that of the app key.
    fn former_key(&self) -> Result<Option<String>, Failure> {
        if self.key.is_some() {
            return Ok(None);
        }
        let mut path = self.key_path().into_os_string();
        path.push(".old");
        let path = PathBuf::from(path);
        if !path.exists() {
            return Ok(None);
        }
        let key = key_from(&path)?;
        check_key(&key, format_args!("the former app key in {}", path.display()))?;
        info!(
            "UserSigs of the former app key are good, too, while {} is there",
            path.display()
        );
        Ok(Some(key))
    }

    fn key_path(&self) -> PathBuf {
        self.key_file.clone().unwrap_or_else(|| self.data.key_path())
    }

    /// Warns if other users can read the key file.
    fn warn_of_readers(&self) {
        #[cfg(unix)]
        if self.key.is_none() {
            use std::os::unix::fs::PermissionsExt as _;
            let path = self.key_path();
            let open = std::fs::metadata(&path).is_ok_and(|file| file.permissions().mode() & 0o004 != 0);
            if open {
                warn!(path = %path.display(), "every user of this machine can read the app key and log in as any user; chmod 600");
            }
        }
    }
}

/// Applies the settings that can change while the hub runs, and warns of others.
fn reload_now(reload: &Reload) -> Result<(), Failure> {
    let Reload {
        hub,
        sources,
        started,
        levels,
        tls,
        sinks,
        ..
    } = reload;
    // Whatever becomes of the settings.
    if let Err(error) = sinks.reopen_log() {
        warn!(%error, "cannot open the file of --push-log anew; the old one stays in use");
    }
    let settings = sources.settings()?;
    if let Some(tls) = tls {
        match tls.load(&settings.tls_cert, &settings.tls_key) {
            Ok(()) => info!(certificate = %settings.tls_cert.display(), "certificate reloaded"),
            Err(error) => warn!(%error, "cannot reload the certificate; the old one stays in use"),
        }
    }
    sinks.reload(&settings);
    let mut options = sources.hub_options(&settings, sources.key()?)?;
    match outgoing::callback_options(&settings) {
        Ok(callbacks) => options.callbacks = callbacks,
        Err(failure) => {
            warn!(%failure, "cannot reload the token for --callback-url; the old one stays in use");
        }
    }
    hub.reload(&options).map_err(Failure::failed)?;
    levels.set(&settings.log)?;
    let rest = Settings {
        log: started.log.clone(),
        retention: started.retention,
        revoke_window: started.revoke_window,
        send_rate: started.send_rate,
        request_rate: started.request_rate,
        address_rate: started.address_rate,
        admin: started.admin.clone(),
        rest_rate: started.rest_rate,
        max_devices: started.max_devices,
        max_account_bytes: started.max_account_bytes,
        max_conversations: started.max_conversations,
        file_bytes_per_account: started.file_bytes_per_account,
        files_per_account: started.files_per_account,
        unused_account_life: started.unused_account_life,
        ..settings
    };
    let rest = match tls {
        Some(_) => Settings {
            tls_cert: started.tls_cert.clone(),
            tls_key: started.tls_key.clone(),
            ..rest
        },
        None => rest,
    };
    if push_sinks::with_keys_of(rest, started) != *started {
        warn!("some of the changed settings take effect at the next start");
    }
    info!("settings reloaded");
    Ok(())
}

/// What a reload needs.
struct Reload {
    hub: Arc<Hub>,
    sources: Sources,
    started: Settings,
    levels: log::Levels,
    tls: Option<HubTls>,
    sinks: PushSinks,
    manager: Manager,
}

/// Reloads the settings at each SIGHUP; does not return.
///
/// Each time on a thread of its own: a file on a disk that does not respond would stop the hub, and as a task of the runtime keep it
/// from ending.
async fn reload_on_hangup(mut hangup: Hangup, reload: Reload) {
    let context = Arc::new(reload);
    while hangup.recv().await.is_some() {
        let (done, is_done) = oneshot::channel::<()>();
        let context = Arc::clone(&context);
        let thread = std::thread::Builder::new()
            .name("reload".to_owned())
            .spawn(move || {
                let _done = done;
                context.manager.reloading();
                if let Err(failure) = reload_now(&context) {
                    warn!(%failure, "cannot reload the settings");
                }
                context.manager.ready();
            });
        match thread {
            Ok(_) => drop(is_done.await),
            Err(error) => warn!(%error, "cannot reload the settings"),
        }
    }
}

/// SIGHUP. It would end the process unless this exists; signals since its creation are not lost.
#[cfg(unix)]
type Hangup = tokio::signal::unix::Signal;

#[cfg(unix)]
fn hangups() -> io::Result<Hangup> {
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())
}

/// Never signalled on systems without SIGHUP.
#[cfg(not(unix))]
struct Hangup;

#[cfg(not(unix))]
impl Hangup {
    async fn recv(&mut self) -> Option<()> {
        None
    }
}

#[cfg(not(unix))]
fn hangups() -> io::Result<Hangup> {
    Ok(Hangup)
}

async fn serve(settings: &Settings, sources: Sources, levels: log::Levels) -> Result<(), Failure> {
    let (data, manager) = (&sources.data.clone(), Manager::of_process());
    // Before the store, which may take long to open.
    let hangup = hangups()?;
    let stop = stop_signal()?;
    let plan = Plan::of(settings).await?;
    let key = sources.key_or_new()?;
    let mut options = sources.hub_options(settings, key)?;
    options.files = match settings.store_shared && settings.files == FilePlace::Directory {
        // The other hubs could not read a directory of this one.
        true => {
            warn!("users cannot send files: hubs that share a store need --files s3://...");
            None
        }
        false => Some(file_options(settings, data.path())?),
    };
    let sinks = PushSinks::of(settings)?;
    options.push = outgoing::push_options(settings, &sinks)?;
    options.callbacks = outgoing::callback_options(settings)?;
    let web_key = sinks.application_server_key();
    let hub = Arc::new(store::open_hub(settings, options, data).await?);
    let listeners = plan.open().await?;
    let reload = Reload {
        hub: Arc::clone(&hub),
        sources,
        started: settings.clone(),
        levels,
        tls: listeners.tls().cloned(),
        sinks,
        manager: manager.clone(),
    };
    tokio::spawn(reload_on_hangup(hangup, reload));
    listen_to_administrators(&hub, data).await;
    let ports = SerialPorts::start(&hub, settings).await?;
    if let Some(address) = listeners.local() {
        tell_local_commands(data, address, settings.app_id);
    }
    let mut out = io::stdout();
    let mut addresses: Vec<_> = listeners.addresses().map(ToString::to_string).collect();
    if addresses.is_empty() {
        addresses.push("serial ports".to_owned());
    }
    for (number, address) in addresses.iter().enumerate() {
        match number {
            0 => writeln!(
                out,
                "listening at {address}, app {}, data in {}",
                settings.app_id,
                data.path().display()
            )?,
            _ => writeln!(out, "listening at {address}")?,
        }
    }
    if let Some(address) = listeners.http() {
        writeln!(out, "files at {address}")?;
        if !settings.admin.is_empty() {
            writeln!(out, "REST at {address}/v4")?;
        }
    }
    if let Some(address) = listeners.metrics() {
        writeln!(out, "metrics at {address}")?;
    }
    if let Some(key) = web_key {
        writeln!(out, "Web Push with applicationServerKey {key}")?;
    }
    for address in ports.listening() {
        writeln!(out, "serial ports at {address}")?;
    }
    match data.is_default() {
        true => writeln!(out, "to chat: tim chat --as alice bob")?,
        false => writeln!(
            out,
            "to chat: tim chat --data {} --as alice bob",
            data.path().display()
        )?,
    }
    out.flush()?;
    manager.ready();
    let telling = manager.clone();
    tokio::spawn(async move { telling.keep_telling().await });
    let stop = async {
        stop.await;
        manager.stopping();
    };
    listeners
        .serve(&hub, stop)
        .await
        .map_err(|error| ended(&error, data))
}

/// Lets `tim admin` and `tim backup` reach the hub.
async fn listen_to_administrators(hub: &Arc<Hub>, data: &DataDir) {
    #[cfg(unix)]
    match crate::admin::Server::open(data.path()).await {
        Ok(server) => drop(tokio::spawn(server.serve(Arc::clone(hub)))),
        Err(error) => {
            warn!(%error, "`tim admin` cannot reach this hub, and `tim backup` only when it has stopped")
        }
    }
    #[cfg(not(unix))]
    let _ = (hub, data);
}

/// Stores an address of the hub where commands on this machine find it.
fn tell_local_commands(data: &DataDir, address: Address, app_id: u32) {
    let endpoint = Endpoint {
        address: TextAddress(address),
        app_id,
    };
    if data.endpoint().ok().flatten() == Some(endpoint.clone()) {
        return;
    }
    if let Err(failure) = data.write_endpoint(&endpoint) {
        // On a full disk, for example: the hub can still serve reads.
        warn!(%failure, "local commands need --hub {}", endpoint.address);
    }
}

pub(super) fn cannot_open(error: &HubError, data: &DataDir) -> Failure {
    match error {
        HubError::Open(error) => check::cannot_open(error, data),
        HubError::Options(_) => {
            Failure::usage(error).hint("`tim serve --print-config` prints the effective settings")
        }
        _ => Failure::failed(error),
    }
}

/// Why a hub has ended by itself.
fn ended(error: &HubError, data: &DataDir) -> Failure {
    let directory = data.path().display();
    match error {
        HubError::Store(_) => Failure::failed(format_args!("{directory}: {error}")).hint(format_args!(
            "look at the disk; `tim check --data {directory}` says whether something is damaged; if so, restore a backup"
        )),
        _ => Failure::failed(error),
    }
}

/// Ready at ctrl-C, or when a service manager ends the process.
pub(super) fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    Ok(async move {
        #[cfg(unix)]
        let terminated = terminate.recv();
        #[cfg(not(unix))]
        let terminated = std::future::pending::<Option<()>>();
        tokio::select! {
            _ = terminated => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    })
}
