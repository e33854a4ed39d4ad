//! `tim serve`: where its settings come from, and how it starts and stops.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tim_proto::wire::{End, Hello, VERSION};
#[cfg(unix)]
use tim_testkit::certificates::{Age, Authority};

use super::{Leash, Ran, run, tim};

/// The lines of a log, which are also shown with the test.
fn follow(log: ChildStderr) -> Receiver<String> {
    let (send, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            eprintln!("{line}");
            let _ = send.send(line);
        }
    });
    lines
}

/// A running hub, which ends with the value.
pub(crate) struct Served {
    child: Child,
    _leash: Leash,
    out: BufReader<ChildStdout>,
    /// Behind a lock, so that the value can be shared.
    log: Mutex<Receiver<String>>,
    pub(crate) address: String,
}

impl Served {
    /// Starts a hub at a free port and waits until it listens.
    pub(crate) fn start(data: &Path, args: &[&str]) -> Self {
        Self::start_at(data, "127.0.0.1:0", args)
    }

    /// Starts a hub and waits until it listens.
    pub(crate) fn start_at(data: &Path, listen: &str, args: &[&str]) -> Self {
        Self::start_with(data, listen, args, &[])
    }

    /// As [`start_at`](Self::start_at), with these variables.
    pub(crate) fn start_with(data: &Path, listen: &str, args: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = tim();
        command
            .envs(environment.iter().copied())
            .args(["serve", "--listen", listen, "--data"])
            .arg(data)
            .args(args);
        if !args.contains(&"--log") {
            command.args(["--log", "warn"]);
        }
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let leash = Leash::new(&child);
        let log = follow(child.stderr.take().unwrap());
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let address = line
            .strip_prefix("listening at ")
            .and_then(|rest| rest.trim().split(',').next());
        let address = address.unwrap_or_else(|| panic!("no address in {line:?}"));
        let address = address.strip_prefix("tim://").unwrap_or(address).to_owned();
        Self {
            child,
            _leash: leash,
            out,
            log: Mutex::new(log),
            address,
        }
    }

    /// Waits until it logs this.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, part: &str) -> String {
        let log = self.log.lock().unwrap();
        let mut seen = Vec::new();
        loop {
            match log.recv_timeout(Duration::from_secs(20)) {
                Ok(line) if line.contains(part) => return line,
                Ok(line) => seen.push(line),
                Err(_) => panic!("{part:?} was not logged, but {seen:#?}"),
            }
        }
    }

    /// Asks it to read its settings again.
    #[cfg(unix)]
    pub(crate) fn hang_up(&self) {
        send_hangup(&self.child);
    }

    /// The next line that it prints.
    pub(crate) fn next_line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line
    }

    /// Asks it to end and returns the exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        let killed = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(killed.success());
        let code = self.child.wait().unwrap().code();
        std::io::copy(&mut self.out, &mut std::io::sink()).unwrap();
        code
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a client says first.
pub(crate) fn client_hello() -> [u8; Hello::LEN] {
    tim_testkit::hello(End::CLIENT, (VERSION, VERSION), 4096, 4)
}

/// Says hello to a hub and reads its hello.
fn greet(address: &str) -> Hello {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(&client_hello()).unwrap();
    let mut answer = [0; Hello::LEN];
    stream.read_exact(&mut answer).unwrap();
    Hello::from_bytes(&answer).unwrap()
}

#[test]
fn the_first_start_makes_a_key_and_the_next_one_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut hub = Served::start(&data, &[]);
    assert_eq!(greet(&hub.address).end, End::HUB);
    let key = std::fs::read(data.join("app.key")).unwrap();
    let endpoint = std::fs::read_to_string(data.join("endpoint.toml")).unwrap();
    assert!(endpoint.contains(&hub.address), "{endpoint}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(
            std::fs::metadata(data.join("app.key"))
                .unwrap()
                .permissions()
                .mode()
                & 0o777,
            0o600
        );
    }
    assert_eq!(hub.stop(), Some(0));

    let mut hub = Served::start(&data, &[]);
    assert_eq!(greet(&hub.address).end, End::HUB);
    assert_eq!(std::fs::read(data.join("app.key")).unwrap(), key);
    assert_eq!(hub.stop(), Some(0));
}

#[cfg(unix)]
fn send_hangup(child: &Child) {
    let sent = Command::new("kill")
        .args(["-HUP", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

/// Ends with the value.
#[cfg(unix)]
struct Ending(Child);

#[cfg(unix)]
impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a hub whose log can be read, and waits until it listens. What it prints has to stay open as long as it runs.
#[cfg(unix)]
fn start_logged(
    data: &Path,
) -> (
    Ending,
    Leash,
    BufReader<ChildStdout>,
    impl Iterator<Item = String>,
) {
    let mut command = tim();
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--log", "info", "--data"])
        .arg(data);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let leash = Leash::new(&child);
    let (out, log) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let hub = Ending(child);
    let mut out = BufReader::new(out);
    let mut first = String::new();
    out.read_line(&mut first).unwrap();
    assert!(first.starts_with("listening"), "{first}");
    (hub, leash, out, BufReader::new(log).lines().map_while(Result::ok))
}

#[cfg(unix)]
#[test]
fn reading_the_settings_again_makes_no_key() {
    let dir = tempfile::tempdir().unwrap();
    let (hub, _leash, _out, mut log) = start_logged(dir.path());
    let key = dir.path().join("app.key");
    std::fs::remove_file(&key).unwrap();
    send_hangup(&hub.0);
    let told = log.find(|line| line.contains("the settings")).unwrap();
    assert!(told.contains("cannot reload the settings"), "{told}");
    assert!(told.contains("no app key in"), "{told}");
    assert!(!key.exists());
}

#[cfg(unix)]
#[test]
fn a_key_that_everybody_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("app.key");
    std::fs::write(&key, "k".repeat(64)).unwrap();
    for (mode, warns) in [(0o644, true), (0o600, false)] {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        let (mut hub, _leash, _out, log) = start_logged(dir.path());
        hub.0.kill().unwrap();
        let log: Vec<String> = log.collect();
        let told = log
            .iter()
            .any(|line| line.contains("can read the app key") && line.contains("app.key"));
        assert_eq!(told, warns, "{log:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_hangup_while_the_hub_starts_does_not_end_it() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    assert!(Command::new("mkfifo").arg(&key).status().unwrap().success());
    let mut command = tim();
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--log", "error", "--key-file"])
        .arg(&key)
        .arg("--data")
        .arg(dir.path().join("data"));
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let _leash = Leash::new(&child);
    let out = child.stdout.take().unwrap();
    let hub = Ending(child);
    // Opens once the hub does: it is reading its key then.
    let mut writer = std::fs::OpenOptions::new().write(true).open(&key).unwrap();
    let text = format!("{}\n", "k".repeat(64));
    std::fs::remove_file(&key).unwrap();
    std::fs::write(&key, &text).unwrap();
    send_hangup(&hub.0);
    writer.write_all(text.as_bytes()).unwrap();
    drop(writer);
    let first = BufReader::new(out).lines().next().and_then(Result::ok);
    let first = first.unwrap_or_default();
    assert!(first.starts_with("listening"), "{first:?}");
}

#[test]
fn a_second_hub_is_kept_out_of_the_data_and_of_the_port() {
    let dir = tempfile::tempdir().unwrap();
    let (data, other) = (dir.path().join("data"), dir.path().join("other"));
    let hub = Served::start(&data, &[]);
    let second = |data: &Path, listen: &str| -> Ran {
        tim()
            .args(["serve", "--listen", listen, "--data"])
            .arg(data)
            .output()
            .unwrap()
            .into()
    };
    let same_data = second(&data, "127.0.0.1:0");
    assert_eq!(same_data.code, 1);
    assert!(
        same_data.err.contains("in use by another hub") && same_data.err.contains("hint: "),
        "{}",
        same_data.err
    );
    let same_port = second(&other, &hub.address);
    assert_eq!(same_port.code, 1);
    assert!(
        same_port.err.contains(&hub.address) && same_port.err.contains("hint: "),
        "{}",
        same_port.err
    );
    assert!(
        !other.join("endpoint.toml").exists(),
        "nobody is sent to a hub that is not there"
    );
}

#[test]
fn settings_come_from_flags_variables_file_and_defaults() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hub.toml");
    std::fs::write(
        &file,
        "max-members = 1\nmax-connections = 2\napp-id = 3\nretention = \"30d\"\n",
    )
    .unwrap();
    let output = tim()
        .args([
            "serve",
            "--print-config",
            "--max-members",
            "10",
            "--config",
            file.to_str().unwrap(),
        ])
        .args(["--data", dir.path().to_str().unwrap()])
        .env("TIM_MAX_MEMBERS", "20")
        .env("TIM_MAX_CONNECTIONS", "30")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for line in [
        "max-members = 10",
        "max-connections = 30",
        "app-id = 3",
        "retention = \"30d\"",
        "revoke-window = \"2m\"",
        "manager-revoke-window = \"0s\"",
        "listen = [\"tim://127.0.0.1:7878\"]",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    // What is printed is a file that can be used.
    std::fs::write(&file, &text).unwrap();
    let again = run(
        [
            "serve",
            "--print-config",
            "--data",
            dir.path().to_str().unwrap(),
            "--config",
            file.to_str().unwrap(),
        ],
        "",
    );
    assert_eq!(again.ok(), text);
}

#[test]
#[cfg(unix)]
fn open_files_are_allowed_as_far_as_possible_and_connections_that_do_not_fit_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    // A hub that may open 200 files and could raise that to 400.
    let limited = |args: &[&str]| -> Ran {
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "ulimit -Sn 200 && ulimit -Hn 400 && exec \"$0\" serve \"$@\"",
        ]);
        command.arg(env!("CARGO_BIN_EXE_tim")).args(["--data", data]);
        command.args(args).output().unwrap().into()
    };
    let settings = limited(&["--print-config"]);
    for line in [
        "max-connections = 225",
        "max-half-open = 50",
        "max-serial-ports = 25",
    ] {
        let text = &settings.out;
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    let too_many = limited(&["--max-connections", "251"]);
    assert_eq!(too_many.code, 2, "{}", too_many.err);
    assert!(
        too_many.err.contains("the limit is 400") && too_many.err.contains("--max-connections 250"),
        "{}",
        too_many.err
    );
    // It goes on to the key, which is too short.
    let fits = limited(&["--key", "short"]);
    assert!(
        fits.err.contains("the app key has 5 bytes")
            && fits.err.contains("max_connections=225")
            && fits.err.contains("open_files=400"),
        "{}",
        fits.err
    );
}

#[test]
fn a_setting_that_is_wrong_stops_the_hub_with_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    std::fs::write(
        dir.path().join("serve.toml"),
        "max-members = 1\nmax-membres = 2\n",
    )
    .unwrap();
    let ran = run(["serve", "--print-config", "--data", data], "");
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains("serve.toml") && ran.err.contains("max-membres"),
        "{}",
        ran.err
    );
    for flags in [
        ["--listen", "nowhere"],
        ["--retention", "a week"],
        ["--config", "/nonexistent"],
    ] {
        assert_eq!(
            run(["serve", "--print-config"].iter().chain(&flags), "").code,
            2,
            "{flags:?}"
        );
    }
}

/// What was said can still be read when nothing more can be written, the files of `tim serve` itself included.
#[test]
fn a_setting_that_leaves_nothing_to_do_is_wrong_for_the_exit_code_too() {
    let dir = tempfile::tempdir().unwrap();
    for setting in [["--max-devices", "0"], ["--retention", "0s"]] {
        let data = ["serve", "--listen", "127.0.0.1:0", "--data"];
        let data = data.iter().map(OsStr::new);
        let all = data
            .chain([dir.path().as_os_str()])
            .chain(setting.map(OsStr::new));
        let refused = run(all, "");
        assert_eq!(refused.code, 2, "{}", refused.err);
        assert!(refused.err.contains("is 0"), "{}", refused.err);
    }
}

#[test]
fn a_hub_starts_although_it_cannot_say_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    // A directory in the file's place: nothing can be written there, whoever runs this.
    std::fs::create_dir_all(dir.path().join("endpoint.toml/in-the-way")).unwrap();
    let hub = Served::start(dir.path(), &[]);
    TcpStream::connect(&hub.address).unwrap();
}

#[test]
fn a_store_that_was_moved_is_not_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("moved-to"),
        "the schema tim_1 of postgres://db/tim\n",
    )
    .unwrap();
    let args = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data",
        dir.path().to_str().unwrap(),
    ];
    let ran = run(args, "");
    assert_eq!(ran.code, 1, "{}", ran.err);
    let parts = [
        "the schema tim_1 of postgres://db/tim",
        "--store",
        "moved-to to go on",
    ];
    assert!(parts.iter().all(|part| ran.err.contains(part)), "{}", ran.err);
}

#[test]
fn a_damaged_store_is_named_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let check = || run([OsStr::new("check"), OsStr::new("--data"), data.as_os_str()], "");
    let missing = check();
    assert_eq!(missing.code, 1, "{}", missing.err);
    assert!(missing.err.contains("there is no store"), "{}", missing.err);
    let mut hub = Served::start(&data, &[]);
    let running = check();
    assert_eq!((running.code, &*running.err), (0, ""), "beside a running hub");
    assert_eq!(hub.stop(), Some(0));
    let database = data.join("tim.sqlite3");
    let whole = std::fs::read(&database).unwrap();
    assert!(check().ok().contains("0 conversations, 0 intact entries"));

    let serve = || run([OsStr::new("serve"), OsStr::new("--data"), data.as_os_str()], "");
    let mut damaged = whole.clone();
    // The tree of the users.
    damaged[4096..].fill(0xEE);
    for bytes in [
        &damaged,
        &b"nothing like a database, though long enough for a header ".repeat(9),
    ] {
        std::fs::write(&database, bytes).unwrap();
        let checked = check();
        assert!(!checked.err.contains("`tim check"), "{}", checked.err);
        for refused in [serve(), checked] {
            assert_eq!(refused.code, 1, "{}", refused.err);
            assert!(refused.err.contains(&*data.to_string_lossy()), "{}", refused.err);
            assert!(refused.err.contains("restore a backup"), "{}", refused.err);
        }
    }
    std::fs::remove_file(&database).unwrap();
    let missing = check();
    assert_eq!(missing.code, 1, "{}", missing.err);
    assert!(missing.err.contains("restore a backup"), "{}", missing.err);
    let refused = serve();
    assert_eq!(refused.code, 1, "{}", refused.err);
    assert!(
        refused.err.contains("is missing") && refused.err.contains("hub.lock"),
        "{}",
        refused.err
    );
}

/// Those that are missing or wrong say what to change. While the hub runs, a wrong one changes nothing.
#[cfg(unix)]
#[test]
fn the_keys_of_push_services_are_checked_at_the_start_and_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "authority");
    let files = authority.sign("push", &["localhost"], Age::Valid);
    let (key, other) = (files.key.to_str().unwrap(), files.certificate.to_str().unwrap());
    let data = dir.path().join("data");
    let apns = ["--push-apns-key", key, "--push-apns-topic", "com.example.chat"];
    let ids = [
        "--push-apns-key-id",
        "KEY1234567",
        "--push-apns-team",
        "TEAM123456",
    ];
    let subject = ["--push-vapid-subject", "mailto:operator@example.com"];
    let wrong: &[(&[&[&str]], &str)] = &[
        (&[&apns[..2], &ids], "--push-apns-key needs --push-apns-topic"),
        (
            &[&apns],
            "--push-apns-key needs --push-apns-key-id and --push-apns-team",
        ),
        (&[&apns, &ids[..3], &["a b"]], "ten letters and digits"),
        (
            &[&apns, &ids, &["--push-apns-server", "staging"]],
            "production, sandbox or a URL",
        ),
        (
            &[&["--push-apns-key", "nowhere"], &apns[2..], &ids],
            "--push-apns-key nowhere: No such file",
        ),
        (
            &[&["--push-apns-key", other], &apns[2..], &ids],
            "there is no private key in it",
        ),
        (
            &[&["--push-vapid-key", key]],
            "--push-vapid-key needs --push-vapid-subject",
        ),
        (&[&["--push-vapid-key", other], &subject], "openssl genpkey"),
        (
            &[&["--push-vapid-key", key, "--push-vapid-subject", "nobody"]],
            "mailto:ADDRESS",
        ),
        (
            &[&["--push-vapid-key", key, "--push-web-host", "*"], &subject],
            "*.DOMAIN",
        ),
    ];
    for (args, expected) in wrong {
        let args = args.concat();
        let start = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--data",
            data.to_str().unwrap(),
        ];
        let ran = run([&start[..], &args].concat(), "");
        assert!(
            ran.code == 2 && ran.err.contains(expected),
            "{args:?}: {}",
            ran.err
        );
    }
    let vapid = ["--push-vapid-key", key];
    let args = [&apns[..], &ids, &vapid, &subject, &["--log", "info"]].concat();
    let mut hub = Served::start(&data, &args);
    let line = hub.next_line();
    assert!(line.starts_with("Web Push with applicationServerKey B"), "{line}");
    let pem = std::fs::read(&files.key).unwrap();
    std::fs::write(&files.key, "nothing").unwrap();
    hub.hang_up();
    for setting in ["--push-apns-key", "--push-vapid-key"] {
        let warned = hub.wait_for_log("cannot reload the key or token of a push service");
        assert!(warned.contains(setting), "{warned}");
    }
    hub.wait_for_log("settings reloaded");
    std::fs::write(&files.key, pem).unwrap();
    hub.hang_up();
    hub.wait_for_log("settings reloaded");
    assert_eq!(hub.stop(), Some(0));
}

/// What keeps logs short renames them and sends a hangup.
#[cfg(unix)]
#[test]
fn the_file_of_push_log_is_opened_anew_at_a_hangup_and_must_be_a_regular_one() {
    let dir = tempfile::tempdir().unwrap();
    let [data, log, pipe] = ["data", "push.jsonl", "pipe"].map(|name| dir.path().join(name));
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let [data_text, pipe] = [&data, &pipe].map(|path| path.to_str().unwrap());
    let serve = ["serve", "--listen", "127.0.0.1:0", "--data", data_text];
    let ran = run([&serve[..], &["--push-log", pipe]].concat(), "");
    assert!(
        ran.code == 2 && ran.err.contains("it is no regular file"),
        "{}",
        ran.err
    );
    let args = ["--push-log", log.to_str().unwrap(), "--log", "info"];
    let mut hub = Served::start(&data, &args);
    std::fs::rename(&log, dir.path().join("push.jsonl.1")).unwrap();
    hub.hang_up();
    hub.wait_for_log("settings reloaded");
    assert!(log.exists());
    assert_eq!(hub.stop(), Some(0));
}

#[test]
fn settings_that_need_another_one_and_urls_that_cannot_be_keep_a_hub_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let token = dir.path().join("token");
    std::fs::write(&token, "secret").unwrap();
    let token = token.to_str().unwrap();
    let start = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data",
        data.to_str().unwrap(),
    ];
    for (args, part) in [
        (
            &["--callback-token-file", token][..],
            "--callback-token-file needs --callback-url",
        ),
        (&["--callback-refuse"], "--callback-refuse needs --callback-url"),
        (
            &["--callback-command", "C2C.CallbackBeforeSendMsg"],
            "--callback-command needs --callback-url",
        ),
        (
            &["--push-token-file", token],
            "--push-token-file needs --push-webhook",
        ),
        (
            &["--push-language", "zh"],
            "--push-language needs --push-log, --push-webhook",
        ),
        (
            &["--http-url", "https://hub.example.org"],
            "--http-url needs --http",
        ),
        (
            &["--files-allow-http"],
            "--files-allow-http needs --files s3://BUCKET",
        ),
        (
            &["--proxy-header", "Forwarded"],
            "--proxy-header needs --trusted-proxy",
        ),
        (&["--callback-url", "http://127.0.0.1:99999/"], "--callback-url: "),
        (&["--push-webhook", "http://127.0.0.1:99999/"], "--push-webhook: "),
        (&["--push-webhook", "http://[::1]:0/"], "from 1 to 65535"),
    ] {
        let ran = run([&start[..], args].concat(), "");
        assert!(ran.code == 2 && ran.err.contains(part), "{args:?}: {}", ran.err);
    }
    assert!(!data.join("tim.sqlite3").exists(), "nothing has begun");
}

/// An application's server that answers each request so, and what it was asked.
fn application(answer: &'static str) -> (String, Receiver<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (send, asked) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream);
            let (mut head, mut line) = (String::new(), String::new());
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                head.push_str(&std::mem::take(&mut line));
            }
            let len = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let mut body = vec![0; len.map_or(0, |len| len.parse().unwrap())];
            let _ = reader.read_exact(&mut body);
            let _ = send.send(head);
            let len = answer.len();
            let text =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {len}\r\nconnection: close\r\n\r\n{answer}");
            let _ = reader.into_inner().write_all(text.as_bytes());
        }
    });
    (url, asked)
}

/// A message that the application drops is not said to be stored; its token is read again at a hangup.
#[cfg(unix)]
#[test]
fn a_dropped_message_is_sent_and_the_token_of_callbacks_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let [data, token] = ["data", "token"].map(|name| dir.path().join(name));
    std::fs::write(&token, "one").unwrap();
    let (url, asked) = application(r#"{"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 2}"#);
    let args = [
        "--callback-url",
        &url,
        "--callback-command",
        "C2C.CallbackBeforeSendMsg",
        "--callback-token-file",
        token.to_str().unwrap(),
        "--log",
        "info",
    ];
    let mut hub = Served::start(&data, &args);
    let send = [
        "send",
        "bob",
        "hi",
        "--as",
        "alice",
        "--data",
        data.to_str().unwrap(),
    ];
    let sign = || {
        let said = run(send, "").ok();
        assert!(said.starts_with("sent to C2Cbob"), "{said}");
        let head = asked.recv_timeout(Duration::from_secs(30)).unwrap();
        let signed = head.split("Sign=").nth(1).unwrap();
        let (sign, time) = signed.split_once("&RequestTime=").unwrap();
        (sign.to_owned(), time.split(' ').next().unwrap().to_owned())
    };
    let digest = |token: &str, time: &str| {
        use sha2::Digest as _;
        let digest = sha2::Sha256::digest(format!("{token}{time}"));
        digest
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let (first, time) = sign();
    assert_eq!(first, digest("one", &time));
    std::fs::write(&token, "two").unwrap();
    hub.hang_up();
    hub.wait_for_log("settings reloaded");
    let (second, time) = sign();
    assert_eq!(second, digest("two", &time));
    assert_eq!(hub.stop(), Some(0));
}
