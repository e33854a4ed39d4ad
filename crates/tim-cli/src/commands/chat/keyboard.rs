//! Input and output lines: edited in a terminal, plain in a pipe.
//!
//! In a terminal, output that arrives while a line is being typed is printed above it. The next prompt appears once the line
//! before has been handled ([`Keyboard::ready`]).

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::thread;

use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{CompletionType, Config, Editor, ExternalPrinter};
use tokio::sync::mpsc;

use super::complete::{Completion, SharedNames};
use super::history::HistoryFile;
use crate::error::{Failure, reading};
use crate::stdin::{Line, Stdin};

/// The source of input lines and the sink of output lines.
pub(super) enum Keyboard {
    Pipe(Stdin),
    Terminal(Terminal),
}

pub(super) struct Terminal {
    lines: mpsc::Receiver<io::Result<String>>,
    prompts: std::sync::mpsc::Sender<String>,
    printer: Box<dyn ExternalPrinter + Send>,
    #[cfg(unix)]
    before: Option<rustix::termios::Termios>,
}

impl Keyboard {
    /// Starts reading stdin, on a thread of its own.
    pub(super) fn start(history: Option<HistoryFile>, names: SharedNames) -> Result<Self, Failure> {
        if io::stdin().is_terminal() && io::stdout().is_terminal() && !is_dumb() {
            Terminal::start(history, names).map(Self::Terminal)
        } else {
            Ok(Self::Pipe(Stdin::start()))
        }
    }

    /// Whether input is a terminal.
    pub(super) const fn is_terminal(&self) -> bool {
        matches!(self, Self::Terminal(_))
    }

    /// The next line; `None` at the end. Lines are numbered in a pipe only.
    pub(super) async fn line(&mut self) -> Option<Result<Line, Failure>> {
        match self {
            Self::Pipe(stdin) => stdin.next().await,
            Self::Terminal(terminal) => {
                let text = terminal.lines.recv().await?;
                let line = text.map(|text| Line {
                    number: 0,
                    text: Ok(text),
                });
                Some(line.map_err(reading("the terminal")))
            }
        }
    }

    /// Prompts for the next line.
    pub(super) fn ready(&self, prompt: &str) {
        if let Self::Terminal(terminal) = self {
            // If the reader has ended, `line` reports it.
            let _ = terminal.prompts.send(prompt.to_owned());
        }
    }

    /// Rings the bell of a terminal.
    pub(super) fn ring(&self) -> Result<(), Failure> {
        if let Self::Terminal(_) = self {
            // Not through the printer, which appends a line end.
            let mut out = io::stdout().lock();
            out.write_all(b"\x07")?;
            out.flush()?;
        }
        Ok(())
    }

    /// Prints a line.
    pub(super) fn print(&mut self, line: impl Display) -> Result<(), Failure> {
        match self {
            Self::Terminal(terminal) => terminal.print(&format!("{line}\n")),
            Self::Pipe(_) => {
                let mut out = anstream::stdout().lock();
                writeln!(out, "{line}")?;
                Ok(out.flush()?)
            }
        }
    }
}

impl Terminal {
    fn start(history: Option<HistoryFile>, names: SharedNames) -> Result<Self, Failure> {
        let (send, lines) = mpsc::channel(1);
        #[cfg(unix)]
        let before = rustix::termios::tcgetattr(io::stdin()).ok();
        let config = Config::builder()
            .auto_add_history(true)
            .completion_type(CompletionType::List)
            .build();
        let mut editor =
            Editor::<Completion, _>::with_history(config, MemHistory::new()).map_err(no_terminal)?;
        editor.set_helper(Some(Completion::new(names)));
        for line in history.iter().flat_map(HistoryFile::lines) {
            editor.add_history_entry(line).map_err(no_terminal)?;
        }
        let printer = Box::new(editor.create_external_printer().map_err(no_terminal)?);
        let (prompts, wanted) = std::sync::mpsc::channel::<String>();
        thread::spawn(move || {
            while let Ok(prompt) = wanted.recv() {
                let line = loop {
                    match editor.readline(&prompt) {
                        Ok(line) => break Ok(line),
                        // Ctrl-C clears a draft first.
                        Err(ReadlineError::Interrupted)
                            if editor.helper().is_some_and(Completion::take_drafted) => {}
                        Err(ReadlineError::Eof | ReadlineError::Interrupted) => return,
                        Err(error) => break Err(io::Error::other(error)),
                    }
                };
                if let (Ok(line), Some(history)) = (&line, &history) {
                    // A full disk must not end the chat.
                    let _ = history.add(line);
                }
                if send.blocking_send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            lines,
            prompts,
            printer,
            #[cfg(unix)]
            before,
        })
    }

    fn print(&mut self, text: &str) -> Result<(), Failure> {
        let plain = anstream::AutoStream::choice(&io::stdout()) == anstream::ColorChoice::Never;
        let text = if plain {
            anstream::adapter::strip_str(text).to_string()
        } else {
            text.to_owned()
        };
        // Between two prompts the terminal echoes input itself: clear it; the next prompt shows it again.
        self.printer
            .print(format!("\r\x1b[K{text}"))
            .map_err(|error| Failure::failed(format_args!("cannot print: {error}")))
    }
}

/// The reader may still be active when the chat ends for another reason: restores the terminal's mode.
impl Drop for Terminal {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(before) = &self.before {
            let _ = rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Now, before);
            // Ends bracketed paste mode.
            let _ = io::stdout().write_all(b"\x1b[?2004l");
        }
    }
}

/// Whether the terminal cannot move its cursor, such as a shell inside an editor: lines are read as from a pipe.
fn is_dumb() -> bool {
    std::env::var("TERM").is_ok_and(|term| ["dumb", "cons25", "emacs"].contains(&&*term))
}

fn no_terminal(error: ReadlineError) -> Failure {
    Failure::failed(format_args!("the terminal cannot be used: {error}"))
        .hint("`tim send` and `tim history` need no terminal")
}
