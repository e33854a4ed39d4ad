//! A PostgreSQL server as processes that can be killed and frozen.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Result;
use crate::hub::PATIENCE;

/// The programs that are needed.
const PROGRAMS: [&str; 4] = ["initdb", "postgres", "createdb", "pg_isready"];

/// A server with a directory of its own. It is killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    programs: PathBuf,
    dir: PathBuf,
    /// Whose process it is if this one is root's: a server refuses to run as root.
    user: Option<(u32, u32)>,
    postmaster: Option<Child>,
}

impl Server {
    /// Makes a server with an empty database `tim`; `Err` inside with what the machine lacks.
    pub(crate) fn new(dir: &Path) -> Result<Result<Self, String>> {
        let Some(programs) = programs() else {
            return Ok(Err(
                "no PostgreSQL server is installed (apt-get install postgresql)".to_owned(),
            ));
        };
        if !Path::new("/proc/self/stat").exists() {
            return Ok(Err("the processes of a server are found in /proc".to_owned()));
        }
        fs::create_dir(dir)?;
        let user = match rustix::process::geteuid().is_root() {
            true => Some((id_of("-u")?, id_of("-g")?)),
            false => None,
        };
        if let Some((user, group)) = user {
            chown(dir, Some(user), Some(group))?;
            if let Some(parent) = dir.parent() {
                fs::set_permissions(parent, fs::Permissions::from_mode(0o711))?;
            }
        }
        let mut server = Self {
            programs,
            dir: dir.to_owned(),
            user,
            postmaster: None,
        };
        let data = dir.join("data");
        let data = data.to_str().ok_or("the directory is not UTF-8")?;
        let init = [
            "-D",
            data,
            "-A",
            "trust",
            "-U",
            "postgres",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ];
        server.run("initdb", &init)?;
        server.start()?;
        let socket = server.dir.clone();
        let socket = socket.to_str().ok_or("the directory is not UTF-8")?;
        server.run("createdb", &["-h", socket, "-U", "postgres", "tim"])?;
        Ok(Ok(server))
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.join(".s.PGSQL.5432")
    }

    fn command(&self, program: &str) -> Result<Command> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.dir.join("server.log"))?;
        let mut command = Command::new(self.programs.join(program));
        command
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        Ok(command)
    }

    fn run(&self, program: &str, args: &[&str]) -> Result<()> {
        match self.command(program)?.args(args).status()?.success() {
            true => Ok(()),
            false => Err(format!("{program} fails: {}", self.logged()).into()),
        }
    }

    /// Starts it, and waits until it answers.
    pub(crate) fn start(&mut self) -> Result<()> {
        let mut command = self.command("postgres")?;
        command
            .arg("-D")
            .arg(self.dir.join("data"))
            .arg("-k")
            .arg(&self.dir);
        for setting in ["listen_addresses=", "shared_buffers=64MB", "max_connections=100"] {
            command.args(["-c", setting]);
        }
        self.postmaster = Some(command.spawn()?);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut asked = Command::new(self.programs.join("pg_isready"));
            asked.args(["-q", "-U", "postgres", "-h"]).arg(&self.dir);
            if asked.status()?.success() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(format!("PostgreSQL does not start: {}", self.logged()).into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// SIGKILL to all of its processes.
    pub(crate) fn kill(&mut self) -> Result<()> {
        let Some(mut postmaster) = self.postmaster.take() else {
            return Ok(());
        };
        // It must not start others meanwhile.
        let first = i32::try_from(postmaster.id())?;
        send(first, Signal::STOP);
        let children = children(first)?;
        postmaster.kill()?;
        children.iter().for_each(|id| send(*id, Signal::KILL));
        postmaster.wait()?;
        // While one is left, a server does not start again.
        let deadline = Instant::now() + PATIENCE;
        while children
            .iter()
            .any(|id| stat(*id).is_some_and(|(state, _)| !"ZX".contains(state.as_str())))
        {
            if Instant::now() >= deadline {
                return Err("the processes of PostgreSQL do not end".into());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// SIGSTOP to all of its processes: connections stay, and nothing answers.
    pub(crate) fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT after that.
    pub(crate) fn thaw(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// The first process first, which starts all others.
    fn signal(&self, signal: Signal) -> Result<()> {
        let Some(postmaster) = &self.postmaster else {
            return Ok(());
        };
        let first = i32::try_from(postmaster.id())?;
        send(first, signal);
        children(first)?.into_iter().for_each(|id| send(id, signal));
        Ok(())
    }

    fn logged(&self) -> String {
        fs::read_to_string(self.dir.join("server.log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// A process that has ended meanwhile needs no signal.
fn send(id: i32, signal: Signal) {
    if let Some(id) = Pid::from_raw(id) {
        let _ = kill_process(id, signal);
    }
}

/// The processes whose parent this is.
fn children(parent: i32) -> Result<Vec<i32>> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let id = name.to_str().and_then(|name| name.parse().ok());
        let of = id.and_then(stat).map(|(_, of)| of);
        children.extend(id.filter(|_| of == Some(parent)));
    }
    Ok(children)
}

/// State and parent of a process that is there.
fn stat(id: i32) -> Option<(String, i32)> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // They follow the name, which is in parentheses.
    let mut rest = stat.rsplit(") ").next()?.split(' ');
    Some((rest.next()?.to_owned(), rest.next()?.parse().ok()?))
}

/// The user `postgres`, which Debian's package makes.
fn id_of(what: &str) -> Result<u32> {
    let output = Command::new("id").args([what, "postgres"]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .parse()
        .map_err(|_| "there is no user postgres, as whom a server could run".into())
}

/// Where the programs of a server are.
fn programs() -> Option<PathBuf> {
    let debian = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut versions: Vec<PathBuf> = debian.map(|version| version.path().join("bin")).collect();
    versions.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    versions.extend(std::env::split_paths(&path));
    versions
        .into_iter()
        .rev()
        .find(|dir| PROGRAMS.iter().all(|name| dir.join(name).exists()))
}
