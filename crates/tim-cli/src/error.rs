//! How the program fails: an exit code, a line that says what went wrong, and a hint that says what to do about it.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::output::{BAD, HINT};
use crate::terminal::Safe;

/// Shown at the end of every command's help.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  all went well
  1  it failed, or the hub refused it
  2  the command line, a setting or the input is wrong
  3  the hub cannot be reached
  4  there is no valid UserSig or app key for this";

/// What a failure means to whoever called the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// Whoever read the output has gone; nobody is left to tell.
    ReaderGone = 0,
    Failed = 1,
    Usage = 2,
    Unreachable = 3,
    Credentials = 4,
}

/// Why a command did not do what it should.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
    hint: Option<String>,
}

impl Failure {
    fn new(exit: Exit, message: impl Display) -> Self {
        Self {
            exit,
            message: message.to_string(),
            hint: None,
        }
    }

    /// It failed, or the hub refused it.
    pub(crate) fn failed(message: impl Display) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// The command line, a setting or the input is wrong.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The hub cannot be reached.
    pub(crate) fn unreachable(message: impl Display) -> Self {
        Self::new(Exit::Unreachable, message)
    }

    /// There is no valid UserSig or key.
    pub(crate) fn credentials(message: impl Display) -> Self {
        Self::new(Exit::Credentials, message)
    }

    /// The same failure, with what to do about it.
    pub(crate) fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// Says what is wrong on stderr and returns the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        if self.exit != Exit::ReaderGone {
            // If stderr is gone too, the exit code still tells.
            let _ = self.print();
        }
        ExitCode::from(self.exit as u8)
    }

    fn print(&self) -> io::Result<()> {
        let mut err = anstream::stderr().lock();
        writeln!(err, "{BAD}error:{BAD:#} {}", Safe::lines(&self.message, 0))?;
        if let Some(hint) = &self.hint {
            writeln!(err, "{HINT}hint:{HINT:#} {hint}")?;
        }
        Ok(())
    }
}

/// Without the hint, for a log.
impl Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

/// For output; where input fails, say which (see [`reading`]).
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Exit::ReaderGone, error);
        }
        Self::failed(format_args!("cannot write the output: {error}"))
    }
}

/// Says that `what` cannot be read.
pub(crate) fn reading(what: impl Display) -> impl FnOnce(io::Error) -> Failure {
    move |error| Failure::usage(format_args!("cannot read {what}: {error}"))
}
