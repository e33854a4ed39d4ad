//! `tim sig`: makes UserSigs and looks inside them.

use std::io::{self, Read as _, Write};
use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;
use tim_proto::UserId;
use tim_usersig::{App, Claims, UserSig};

use crate::error::{EXIT_CODES, Failure, reading};
use crate::json;
use crate::local::{DEFAULT_APP_ID, DataArg, DataDir, check_key, key_from};
use crate::output::{BAD, FAINT, STRONG};
use crate::time::{Seconds, date_and_time, now};

/// Make and inspect UserSigs, the signed credentials with which users log in.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: SigCommand,
}

#[derive(Debug, Subcommand)]
enum SigCommand {
    /// Print a UserSig for a user, signed with a given key or with that of the data directory.
    #[command(after_help = EXIT_CODES)]
    Make(Make),
    /// Say what a UserSig says and, given a key, whether it is good.
    #[command(after_help = EXIT_CODES)]
    Inspect(Inspect),
}

/// Which key, if one is named.
#[derive(Debug, clap::Args)]
pub(crate) struct KeyArgs {
    /// The app key. Others on this machine can see it in the list of processes; --key-file avoids that.
    #[arg(
        long,
        value_name = "KEY",
        env = "TIM_KEY",
        hide_env_values = true,
        conflicts_with = "key_file"
    )]
    key: Option<String>,
    /// A file with the app key.
    #[arg(long, value_name = "FILE", env = "TIM_KEY_FILE", hide_env_values = true)]
    key_file: Option<PathBuf>,
    /// The application's number [default: that of the data directory's hub, else 1400000000].
    #[arg(
        long = "app",
        visible_alias = "app-id",
        value_name = "NUMBER",
        env = "TIM_APP_ID",
        hide_env_values = true
    )]
    app: Option<u32>,
    #[command(flatten)]
    data: DataArg,
}

#[derive(Debug, clap::Args)]
struct Make {
    /// Who shall log in with it.
    #[arg(long, short, visible_alias = "as")]
    user: UserId,
    /// For how long it is valid: a number with s, m, h or d behind it.
    #[arg(long, value_name = "TIME", default_value = "1d")]
    expire: Seconds,
    #[command(flatten)]
    key: KeyArgs,
}

#[derive(Debug, clap::Args)]
struct Inspect {
    /// The UserSig; without it, or with `-`: read from stdin.
    sig: Option<String>,
    /// Also check that it is this user's (needs a key).
    #[arg(long, short)]
    user: Option<UserId>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    key: KeyArgs,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        SigCommand::Make(args) => make(&args),
        SigCommand::Inspect(args) => inspect(&args),
    }
}

fn make(args: &Make) -> Result<(), Failure> {
    let app = args.key.app()?;
    let sig = UserSig::sign(&app, &args.user, now(), args.expire.0);
    Ok(writeln!(io::stdout(), "{sig}")?)
}

impl KeyArgs {
    /// The application, with the named key or that of the data directory.
    pub(crate) fn app(&self) -> Result<App, Failure> {
        let data = DataDir::new(self.data.data.clone());
        let (key, app_id) = match self.named()? {
            Some(key) => (key, None),
            None => {
                let data = data?;
                let key = data.key()?.ok_or_else(|| {
                    Failure::credentials(format_args!("there is no app key in {}", data.path().display()))
                        .hint("run `tim serve` once to make one, or name one with --key-file FILE")
                })?;
                (key, data.endpoint()?.map(|endpoint| endpoint.app_id))
            }
        };
        check_key(&key, "the app key")?;
        Ok(App::new(self.app.or(app_id).unwrap_or(DEFAULT_APP_ID), key))
    }

    /// The key that was named on the command line or in the environment.
    fn named(&self) -> Result<Option<String>, Failure> {
        match (&self.key, &self.key_file) {
            (Some(key), _) => Ok(Some(key.clone())),
            (None, Some(path)) => key_from(path).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// The key to check with: one that was named, or that of a data directory that was named.
    fn to_check_with(&self) -> Result<Option<String>, Failure> {
        match (self.named()?, &self.data.data) {
            (None, Some(path)) => DataDir::new(Some(path.clone()))?.key(),
            (key, _) => Ok(key),
        }
    }
}

fn inspect(args: &Inspect) -> Result<(), Failure> {
    let sig = match args.sig.as_deref() {
        None | Some("-") => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).map_err(reading("stdin"))?;
            text
        }
        Some(sig) => sig.to_owned(),
    };
    let sig = sig.trim();
    let claims = UserSig::inspect(sig).map_err(|fault| {
        Failure::credentials(format_args!("{fault} (error {})", fault.code()))
            .hint("a UserSig is one long word of letters, digits, * - and _")
    })?;
    let key = args.key.to_check_with()?;
    if args.user.is_some() && key.is_none() {
        return Err(
            Failure::usage("whose UserSig it is can only be checked with a key").hint("add --key-file FILE"),
        );
    }
    let checked = key.map(|key| check(&claims, sig, args, key));
    print(&claims, checked.as_ref(), args.json)?;
    match checked {
        Some(Err(fault)) => Err(Failure::credentials(fault)),
        _ => Ok(()),
    }
}

fn check(claims: &Claims, sig: &str, args: &Inspect, key: String) -> Result<(), String> {
    // Without --app, the application is whichever the UserSig names: the question is the key.
    let app_id = args.key.app.or_else(|| u32::try_from(claims.app).ok());
    let app = App::new(app_id.unwrap_or(DEFAULT_APP_ID), key);
    let user = args.user.as_ref().unwrap_or(&claims.user);
    UserSig::verify_for(&app, user, sig, now())
        .map(drop)
        .map_err(|fault| format!("{fault} (error {})", fault.code()))
}

fn print(claims: &Claims, checked: Option<&Result<(), String>>, as_json: bool) -> Result<(), Failure> {
    let Claims {
        user,
        app,
        issued,
        expires,
        userbuf,
        ..
    } = claims;
    let mut out = anstream::stdout().lock();
    if as_json {
        let line = json!({
            "user": user.as_str(),
            "app": app,
            "issued": issued,
            "expires": expires,
            "expired": *expires <= now(),
            "userbuf": userbuf.as_deref().map(crate::hex::hex),
            "valid": checked.map(Result::is_ok),
            "fault": checked.and_then(|checked| checked.as_ref().err()),
        });
        return Ok(writeln!(out, "{}", json::Line(&line))?);
    }
    writeln!(out, "user       {STRONG}{user}{STRONG:#}")?;
    writeln!(out, "app        {app}")?;
    writeln!(
        out,
        "issued     {} {FAINT}({issued}){FAINT:#}",
        date_and_time(*issued)
    )?;
    let date = date_and_time(*expires);
    match expires.checked_sub(now()) {
        None | Some(0) => writeln!(
            out,
            "expires    {date} {FAINT}({expires}){FAINT:#} {BAD}it is void now{BAD:#}"
        )?,
        Some(left) => writeln!(
            out,
            "expires    {date} {FAINT}({expires}, in {} days){FAINT:#}",
            left / 86_400
        )?,
    }
    if let Some(userbuf) = userbuf {
        writeln!(out, "userbuf    {}", crate::hex::hex(userbuf))?;
    }
    match checked {
        None => writeln!(out, "signature  {FAINT}not checked: no key was given{FAINT:#}")?,
        Some(Ok(())) => writeln!(out, "signature  good")?,
        Some(Err(fault)) => writeln!(out, "signature  {BAD}{fault}{BAD:#}")?,
    }
    Ok(())
}
