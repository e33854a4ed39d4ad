//! The command's end of the socket.

use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use super::{Answer, MAX_LINE, Request, socket};
use crate::error::Failure;
use crate::local::DataDir;

/// How long a hub may take to take a request. It ends idle connections sooner.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether a hub listens there.
pub(crate) fn is_there(data: &DataDir) -> bool {
    match connect(&socket(data.path()), PATIENCE) {
        Ok(_) => true,
        Err(error) => error.kind() == ErrorKind::TimedOut,
    }
}

/// Asks the hub on this directory. Waits for as long as it works, but not for ever until it begins.
pub(crate) fn ask(data: &DataDir, request: &Request) -> Result<Value, Failure> {
    ask_within(data, request, PATIENCE)
}

/// Connects. The system itself would wait without end while too many others wait to be accepted.
fn connect(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    let (done, result) = mpsc::channel();
    let path = path.to_owned();
    std::thread::Builder::new().spawn(move || done.send(UnixStream::connect(path)))?;
    result
        .recv_timeout(patience)
        .unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

fn ask_within(data: &DataDir, request: &Request, patience: Duration) -> Result<Value, Failure> {
    let path = socket(data.path());
    let busy = || {
        Failure::unreachable(format_args!(
            "the hub has not taken the request within {} seconds: other connections to {} are before it",
            patience.as_secs(),
            path.display()
        ))
        .hint("try again; if that does not help, end the programs that have this socket open (`ss -xp` names them)")
    };
    let stream = connect(&path, patience).map_err(|error| match error.kind() {
        ErrorKind::TimedOut => busy(),
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            Failure::unreachable(format_args!("no hub runs on {}", data.path().display()))
                .hint("`tim serve` starts one; --data DIR chooses another directory")
        }
        ErrorKind::PermissionDenied => Failure::credentials(format_args!("{}: {error}", path.display()))
            .hint("run this as the user who runs `tim serve`"),
        _ => Failure::unreachable(format_args!("{}: {error}", path.display())),
    })?;
    let lost = |error: io::Error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => busy(),
        _ => Failure::unreachable(format_args!("the hub has ended the conversation: {error}"))
            .hint("its log may say why"),
    };
    let mut line = serde_json::to_string(request).map_err(Failure::failed)?;
    line.push('\n');
    stream.set_write_timeout(Some(patience)).map_err(lost)?;
    stream.set_read_timeout(Some(patience)).map_err(lost)?;
    (&stream).write_all(line.as_bytes()).map_err(lost)?;
    let mut answer = String::new();
    let mut reader = BufReader::new((&stream).take(MAX_LINE));
    reader.read_line(&mut answer).map_err(lost)?;
    if matches!(serde_json::from_str(&answer), Ok(Answer::Begun)) {
        stream.set_read_timeout(None).map_err(lost)?;
        answer.clear();
        reader.read_line(&mut answer).map_err(lost)?;
    }
    match serde_json::from_str(&answer) {
        Ok(Answer::Done(value)) => Ok(value),
        Ok(Answer::Begun) => Err(lost(ErrorKind::InvalidData.into())),
        Ok(Answer::Failed(reason)) => Err(Failure::failed(reason)),
        Err(_) if answer.is_empty() => Err(lost(ErrorKind::UnexpectedEof.into())),
        Err(error) => Err(
            Failure::failed(format_args!("the hub gave an answer that is none: {error}"))
                .hint("it may be of another version: stop and start it"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_hub_that_does_not_take_the_request_is_not_waited_for_without_end() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::new(Some(dir.path().to_owned())).unwrap();
        let _never_accepts = UnixListener::bind(socket(data.path())).unwrap();
        let failure = ask_within(&data, &Request::Statistics, Duration::from_millis(50)).unwrap_err();
        assert!(
            failure.to_string().contains("has not taken the request"),
            "{failure}"
        );
    }
}
