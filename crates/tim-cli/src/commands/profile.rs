//! `tim profile`: shows and changes user profiles.

use std::io::Write;

use tim_client::{UserId, UserProfile};
use tim_proto::conversation as wire;

use crate::connect::ConnectArgs;
use crate::error::{EXIT_CODES, Failure};
use crate::json;
use crate::output::{FAINT, STRONG};
use crate::session::{Session, failure};
use crate::terminal::Safe;

/// Show the profiles of users, or change mine.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(flatten)]
    connect: ConnectArgs,
    /// Users to show [default: me].
    #[arg(value_name = "USER", conflicts_with_all = ["nick", "avatar"])]
    users: Vec<UserId>,
    /// Set my nick; empty for none.
    #[arg(long)]
    nick: Option<String>,
    /// Set the address of my avatar.
    #[arg(long, value_name = "ADDRESS")]
    avatar: Option<String>,
    /// Print one JSON object per user, with the field names of the documented SDK.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let login = args.connect.resolve()?;
    let found = Session::run(login, async |session| find(session, args).await)?;
    print(args, &found)
}

async fn find(session: &Session, args: &Args) -> Result<Vec<UserProfile>, Failure> {
    let client = &session.client;
    if args.nick.is_some() || args.avatar.is_some() {
        let updated = client.update_my_profile(args.nick.as_deref(), args.avatar.as_deref());
        return Ok(vec![updated.await.map_err(failure)?.profile]);
    }
    let users = match args.users.as_slice() {
        [] => vec![session.me],
        users => users.to_vec(),
    };
    let found = client.get_user_profile(&users).await.map_err(failure)?.profiles;
    let missing = users.iter().find(|user| found.iter().all(|it| it.id != **user));
    match missing {
        Some(nobody) => Err(Failure::failed(format_args!("no such user: {nobody}"))),
        None => Ok(found),
    }
}

fn print(args: &Args, profiles: &[UserProfile]) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    for UserProfile { id, nick, avatar, .. } in profiles {
        if args.json {
            let profile = wire::UserProfile::new(*id).with_nick(nick).with_avatar(avatar);
            writeln!(out, "{}", json::Line(&tim_json::UserProfile::of(&profile)))?;
        } else {
            let (nick, avatar) = (Safe::line(nick), Safe::line(avatar));
            let line = format!("{STRONG}{id}{STRONG:#}  {nick}  {FAINT}{avatar}{FAINT:#}");
            writeln!(out, "{line}")?;
        }
    }
    Ok(out.flush()?)
}
