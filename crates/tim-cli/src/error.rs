//! Failures of the program: an exit code, an error line, and a hint on how to fix it.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::output::{BAD, HINT};
use crate::terminal::Safe;

/// Shown at the end of every command's help.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  success
  1  the operation failed, or the hub refused it
  2  invalid command line, setting or input
  3  the hub is unreachable
  4  no valid UserSig or app key";

/// The exit code of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// The reader of the output has closed it: not an error.
    ReaderGone = 0,
    Failed = 1,
    Usage = 2,
    Unreachable = 3,
    Credentials = 4,
}

/// Why a command failed.
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

    /// The operation failed, or the hub refused it.
    pub(crate) fn failed(message: impl Display) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// The command line, a setting or the input is invalid.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The hub is unreachable.
    pub(crate) fn unreachable(message: impl Display) -> Self {
        Self::new(Exit::Unreachable, message)
    }

    /// There is no valid UserSig or app key.
    pub(crate) fn credentials(message: impl Display) -> Self {
        Self::new(Exit::Credentials, message)
    }

    /// Adds a hint on how to fix it.
    pub(crate) fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// Prints the error to stderr and returns the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        if self.exit != Exit::ReaderGone {
            // If stderr is closed too, the exit code remains.
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

/// For output; for input, use [`reading`], which names it.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Exit::ReaderGone, error);
        }
        Self::failed(format_args!("cannot write the output: {error}"))
    }
}

/// The error of an input, named `what`, that cannot be read.
pub(crate) fn reading(what: impl Display) -> impl FnOnce(io::Error) -> Failure {
    move |error| Failure::usage(format_args!("cannot read {what}: {error}"))
}
