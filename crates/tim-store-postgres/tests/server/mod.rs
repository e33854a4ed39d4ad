//! A PostgreSQL server of the test's own, and a database of its own for each test.
#![allow(dead_code)] // each test file uses its part

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long the server may take to start.
const START_TIME: Duration = Duration::from_secs(60);

/// A running server, which ends with this process.
pub(super) struct Server {
    programs: PathBuf,
    dir: PathBuf,
}

static SERVER: OnceLock<Server> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// The server of this process.
pub(super) fn server() -> &'static Server {
    SERVER.get_or_init(Server::start)
}

impl Server {
    fn start() -> Self {
        let options = "wal_level=minimal -c max_wal_senders=0";
        Self::start_with("", options)
    }

    /// A standby of no primary: it can be read, and becomes a primary when it is told to.
    pub(super) fn standby() -> Self {
        Self::start_with("-standby", "hot_standby=on")
    }

    fn start_with(kind: &str, options: &str) -> Self {
        let programs = programs().expect(
            "no PostgreSQL server is installed: apt-get install postgresql, or leave the feature `server-tests` out",
        );
        // In memory, if possible: `fsync` must be on, and costs nothing there.
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        let dir = parent.join(format!("tim-postgres-{}{kind}", std::process::id()));
        let server = Self { programs, dir };
        server.spawn(options);
        let until = Instant::now() + START_TIME;
        while !server.psql("postgres", "SELECT 1").status.success() {
            assert!(Instant::now() < until, "PostgreSQL does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    #[allow(clippy::zombie_processes)] // it ends after this process
    /// Starts the server in a shell, which stops it and removes its files when this process ends, however that is.
    fn spawn(&self, options: &str) {
        // A server refuses to run as root.
        let script = r#"
            as_user() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }
            dir=$1; export PATH=$2:$PATH
            mkdir -p "$dir" || exit 1
            [ "$(id -u)" != 0 ] || chown postgres "$dir"
            as_user initdb -D "$dir/data" -A trust -U postgres -E UTF8 --locale=C --no-sync >"$dir/initdb.log" 2>&1 || exit 1
            case $dir in *-standby) as_user touch "$dir/data/standby.signal";; esac
            as_user postgres -D "$dir/data" -k "$dir" -c listen_addresses= -c max_connections=300 -c shared_buffers=64MB \
                -c max_wal_size=256MB -c $3 >"$dir/server.log" 2>&1 &
            cat >/dev/null
            kill -INT "$(head -1 "$dir/data/postmaster.pid")"; wait
            rm -rf "$dir"
        "#;
        let mut child = Command::new("sh")
            .args(["-c", script, "sh"])
            .args([&self.dir, &self.programs])
            .arg(options)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        // It stays open until this process ends; then the shell ends, too.
        std::mem::forget(child.stdin.take());
    }

    /// The address of a database for this user.
    pub(super) fn url(&self, user: &str, database: &str) -> String {
        let dir = self.dir.to_str().unwrap().replace('/', "%2F");
        format!("postgres://{user}@{dir}/{database}")
    }

    /// Runs SQL as an administrator.
    pub(super) fn psql(&self, database: &str, sql: &str) -> Output {
        let mut child = Command::new(self.programs.join("psql"))
            .args([
                "-XAtq",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                "postgres",
                "-d",
                database,
                "-h",
            ])
            .arg(&self.dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Without a server it has ended by now; its answer says why.
        let _ = child.stdin.take().unwrap().write_all(sql.as_bytes());
        child.wait_with_output().unwrap()
    }
}

/// Where the programs of a server are.
fn programs() -> Option<PathBuf> {
    let has_server = |dir: &PathBuf| {
        ["initdb", "postgres", "psql"]
            .iter()
            .all(|name| dir.join(name).exists())
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<PathBuf> = std::env::split_paths(&path).filter(has_server).collect();
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut versions: Vec<PathBuf> = debian
        .map(|version| version.path().join("bin"))
        .filter(has_server)
        .collect();
    versions.sort();
    found.extend(versions.pop());
    found.into_iter().next()
}

/// A database of its own, which is dropped with this.
pub(super) struct Database {
    pub(super) name: String,
}

impl Database {
    pub(super) fn new() -> Self {
        Self::of("template0")
    }

    /// A copy of a database that nobody uses.
    pub(super) fn of(template: &str) -> Self {
        let name = format!("t{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let sql = format!("CREATE DATABASE {name} TEMPLATE {template}");
        let until = Instant::now() + START_TIME;
        loop {
            let output = server().psql("postgres", &sql);
            if output.status.success() {
                return Self { name };
            }
            // Sessions that were closed are still ending.
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                text.contains("accessed by other users") && Instant::now() < until,
                "{text}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The address of the database for this user.
    pub(super) fn url_as(&self, user: &str) -> String {
        server().url(user, &self.name)
    }

    pub(super) fn url(&self) -> String {
        self.url_as("postgres")
    }

    /// Runs SQL in the database, and returns what it prints.
    pub(super) fn sql(&self, sql: &str) -> String {
        let output = server().psql(&self.name, sql);
        assert!(
            output.status.success(),
            "{sql}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        server().psql("postgres", &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}
