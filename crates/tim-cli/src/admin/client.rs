//! The command's end of the socket.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;

use serde_json::Value;

use super::{Answer, MAX_LINE, Request, socket};
use crate::error::Failure;
use crate::local::DataDir;

/// Whether a hub listens there.
pub(crate) fn is_there(data: &DataDir) -> bool {
    UnixStream::connect(socket(data.path())).is_ok()
}

/// Asks the hub on this directory. Waits for as long as it works.
pub(crate) fn ask(data: &DataDir, request: &Request) -> Result<Value, Failure> {
    let path = socket(data.path());
    let mut stream = UnixStream::connect(&path).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            Failure::unreachable(format_args!("no hub runs on {}", data.path().display()))
                .hint("`tim serve` starts one; --data DIR chooses another directory")
        }
        ErrorKind::PermissionDenied => Failure::credentials(format_args!("{}: {error}", path.display()))
            .hint("run this as the user who runs `tim serve`"),
        _ => Failure::unreachable(format_args!("{}: {error}", path.display())),
    })?;
    let lost = |error: std::io::Error| {
        Failure::unreachable(format_args!("the hub has ended the conversation: {error}"))
            .hint("its log may say why")
    };
    let mut line = serde_json::to_string(request).map_err(Failure::failed)?;
    line.push('\n');
    stream.write_all(line.as_bytes()).map_err(lost)?;
    let mut answer = String::new();
    let mut reader = BufReader::new(stream.take(MAX_LINE));
    reader.read_line(&mut answer).map_err(lost)?;
    match serde_json::from_str(&answer) {
        Ok(Answer::Done(value)) => Ok(value),
        Ok(Answer::Failed(reason)) => Err(Failure::failed(reason)),
        Err(_) if answer.is_empty() => Err(lost(ErrorKind::UnexpectedEof.into())),
        Err(error) => Err(
            Failure::failed(format_args!("the hub gave an answer that is none: {error}"))
                .hint("it may be of another version: stop and start it"),
        ),
    }
}
