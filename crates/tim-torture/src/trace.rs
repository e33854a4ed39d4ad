//! A recording of what a process does to its files, by `strace`, and the states in which a power cut may leave them.
//!
//! What was written to a file before its last sync is on the disk. Of what was written since, each page may be there or not,
//! whatever the order, and a page may be torn. Names that were made or removed since then may be either way, too.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use tim_testkit::Rng;

use crate::Result;

/// Pages reach the disk whole, or torn at these borders.
const SECTOR: usize = 512;
const PAGE: usize = 4096;

/// The system calls that are recorded.
const CALLS: &str = "trace=openat,lseek,write,pwrite64,writev,pwritev,ftruncate,fallocate,fsync,fdatasync,unlink,unlinkat,rename";

/// One recorded step. Files are named by their names in the data directory.
#[derive(Debug)]
pub(crate) enum Step {
    Write {
        file: String,
        at: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        file: String,
        len: usize,
    },
    Sync {
        file: String,
    },
    Remove {
        file: String,
    },
    /// The directory was synced: what was removed stays so.
    SyncNames,
    /// The process acknowledged this batch.
    Acknowledged(usize),
}

/// Runs a command under `strace`; the steps in the data directory.
pub(crate) fn record(command: &[&std::ffi::OsStr], data: &Path, output: &Path) -> Result<Vec<Step>> {
    let ran = Command::new("strace")
        .args(["-y", "-xx", "-s", "1000000", "-e", CALLS, "-o"])
        .arg(output)
        .args(command)
        .output()
        .map_err(|error| format!("strace: {error}"))?;
    if !ran.status.success() {
        let said = String::from_utf8_lossy(&ran.stderr);
        return Err(format!("the recorded process failed: {said}").into());
    }
    let mut parser = Parser {
        data: data
            .to_str()
            .ok_or("the path of the data directory is no text")?
            .to_owned(),
        offsets: BTreeMap::new(),
        steps: Vec::new(),
    };
    for line in fs::read_to_string(output)?.lines() {
        parser.line(line).map_err(|error| {
            let start: String = line.chars().take(200).collect();
            format!("cannot understand this line of strace ({error}): {start}")
        })?;
    }
    Ok(parser.steps)
}

struct Parser {
    data: String,
    /// The position of each file descriptor.
    offsets: BTreeMap<u32, usize>,
    steps: Vec<Step>,
}

impl Parser {
    fn line(&mut self, line: &str) -> Result<()> {
        let Some((call, rest)) = line.split_once('(') else {
            return Ok(()); // a signal, or the exit
        };
        let Some((arguments, result)) = rest.rsplit_once(" = ") else {
            return Ok(());
        };
        let result = result.split([' ', '<']).next().unwrap_or_default();
        let Ok(result) = result.parse::<usize>() else {
            return Ok(()); // failed
        };
        let arguments = arguments.trim_end().trim_end_matches(')');
        match call {
            "openat" => {
                self.offsets.insert(u32::try_from(result)?, 0);
            }
            "lseek" => {
                let (fd, _) = descriptor(arguments)?;
                self.offsets.insert(fd, result);
            }
            "write" | "pwrite64" => self.write(call, arguments, result)?,
            "ftruncate" => {
                let (_, path) = descriptor(arguments)?;
                let len = arguments.rsplit(", ").next().unwrap_or_default().parse()?;
                if let Some(file) = self.name(&path) {
                    self.steps.push(Step::Truncate { file, len });
                }
            }
            "fsync" | "fdatasync" => {
                let (_, path) = descriptor(arguments)?;
                if path == self.data {
                    self.steps.push(Step::SyncNames);
                } else if let Some(file) = self.name(&path) {
                    self.steps.push(Step::Sync { file });
                }
            }
            "unlink" | "unlinkat" => {
                let path = String::from_utf8(quoted(arguments)?)?;
                if let Some(file) = self.name(&path) {
                    self.steps.push(Step::Remove { file });
                }
            }
            // Of a file of another program, or of the standard library: not of the store.
            other => {
                if arguments.contains(&self.data) {
                    return Err(format!("{other} is not expected").into());
                }
            }
        }
        Ok(())
    }

    fn write(&mut self, call: &str, arguments: &str, written: usize) -> Result<()> {
        let (fd, path) = descriptor(arguments)?;
        let mut bytes = quoted(arguments)?;
        bytes.truncate(written);
        if fd == 1 {
            let text = String::from_utf8(bytes)?;
            let batch = text.trim().strip_prefix("ack ").ok_or("no acknowledgement")?;
            self.steps.push(Step::Acknowledged(batch.parse()?));
            return Ok(());
        }
        let at = if call == "pwrite64" {
            arguments.rsplit(", ").next().unwrap_or_default().parse()?
        } else {
            let offset = self.offsets.entry(fd).or_default();
            let at = *offset;
            *offset += written;
            at
        };
        if let Some(file) = self.name(&path) {
            self.steps.push(Step::Write { file, at, bytes });
        }
        Ok(())
    }

    /// The name of a file in the data directory.
    fn name(&self, path: &str) -> Option<String> {
        let name = path.strip_prefix(&self.data)?.strip_prefix('/')?;
        // The index of the write-ahead log lives in shared memory; nothing syncs it. The lock file says nothing about the data.
        (!name.ends_with("-shm") && !name.ends_with(".lock")).then(|| name.to_owned())
    }
}

/// The first argument: a file descriptor with its path, `3</path>`.
fn descriptor(arguments: &str) -> Result<(u32, String)> {
    let (fd, rest) = arguments.split_once('<').ok_or("no file descriptor")?;
    let (path, _) = rest.split_once('>').ok_or("no path")?;
    let path = if path.starts_with("\\x") {
        String::from_utf8(unescaped(path)?)?
    } else {
        path.to_owned()
    };
    Ok((fd.parse()?, path))
}

/// The string among the arguments.
fn quoted(arguments: &str) -> Result<Vec<u8>> {
    let (_, rest) = arguments.split_once('"').ok_or("no string")?;
    let (text, rest) = rest.split_once('"').ok_or("no end of the string")?;
    if rest.starts_with("...") {
        return Err("the string is cut".into());
    }
    unescaped(text)
}

/// The bytes of `\x61\x62`.
fn unescaped(text: &str) -> Result<Vec<u8>> {
    let digits = text.split("\\x").skip(1);
    digits.map(|digits| Ok(u8::from_str_radix(digits, 16)?)).collect()
}

/// The files of a moment: what is on the disk, and what is on its way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    files: BTreeMap<String, File>,
    ignores_syncs: bool,
}

#[derive(Debug, Clone, Default)]
struct File {
    /// On the disk; `None` if not even the name is.
    synced: Option<Vec<u8>>,
    /// On its way, in order.
    pending: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Truncate(usize),
    Remove,
}

impl Disk {
    /// What a step does.
    pub(crate) fn apply(&mut self, step: &Step) {
        let (file, change) = match step {
            Step::Write { file, at, bytes } => (
                file,
                Change::Write {
                    at: *at,
                    bytes: bytes.clone(),
                },
            ),
            Step::Truncate { file, len } => (file, Change::Truncate(*len)),
            Step::Remove { file } => (file, Change::Remove),
            Step::Sync { .. } | Step::SyncNames if self.ignores_syncs => return,
            Step::Sync { file } => {
                if let Some(file) = self.files.get_mut(file) {
                    file.synced = file.all();
                    file.pending.clear();
                }
                return;
            }
            Step::SyncNames => return self.files.values_mut().for_each(File::sync_name),
            Step::Acknowledged(_) => return,
        };
        self.files.entry(file.clone()).or_default().pending.push(change);
    }

    /// A disk that ignores syncs, to show that a test notices what is lost.
    pub(crate) fn that_lies() -> Self {
        Self {
            ignores_syncs: true,
            ..Self::default()
        }
    }

    /// Whether something that was written is not on the disk yet.
    pub(crate) fn has_pending_writes(&self) -> bool {
        let mut pending = self.files.values().flat_map(|file| &file.pending);
        pending.any(|change| matches!(change, Change::Write { .. }))
    }

    /// Writes what a power cut at this moment may leave into a directory.
    pub(crate) fn cut(&self, rng: &mut Rng, dir: &Path) -> Result<()> {
        // All of it, nothing of it, or some of it.
        let chance = [0, 0, 100, 20, 50, 80, 95][rng.below(7) as usize];
        for (name, file) in &self.files {
            if let Some(bytes) = file.after_cut(rng, chance) {
                fs::write(dir.join(name), bytes)?;
            }
        }
        Ok(())
    }
}

impl File {
    /// The last removal is on the disk.
    fn sync_name(&mut self) {
        let removed = self
            .pending
            .iter()
            .rposition(|change| matches!(change, Change::Remove));
        if let Some(removed) = removed {
            self.synced = None;
            self.pending.drain(..=removed);
        }
    }

    /// With everything that is on its way.
    fn all(&self) -> Option<Vec<u8>> {
        let mut content = self.synced.clone();
        for change in &self.pending {
            change.apply(&mut content);
        }
        content
    }

    /// With a part of what is on its way: each page of it with this chance.
    fn after_cut(&self, rng: &mut Rng, chance: u8) -> Option<Vec<u8>> {
        let mut content = self.synced.clone();
        for change in &self.pending {
            for part in change.parts(rng) {
                if rng.percent(chance) {
                    part.apply(&mut content);
                }
            }
        }
        content
    }
}

impl Change {
    /// The parts that may reach the disk without each other.
    fn parts(&self, rng: &mut Rng) -> Vec<Self> {
        let Self::Write { at, bytes } = self else {
            return vec![self.clone()];
        };
        let unit = if rng.percent(10) { SECTOR } else { PAGE };
        let (mut parts, mut at, mut rest) = (Vec::new(), *at, &bytes[..]);
        while !rest.is_empty() {
            let len = (unit - at % unit).min(rest.len());
            let (part, behind) = rest.split_at(len);
            parts.push(Self::Write {
                at,
                bytes: part.to_vec(),
            });
            (at, rest) = (at + len, behind);
        }
        parts
    }

    fn apply(&self, content: &mut Option<Vec<u8>>) {
        match self {
            Self::Remove => *content = None,
            Self::Truncate(len) => {
                if let Some(content) = content {
                    content.resize(*len, 0);
                }
            }
            Self::Write { at, bytes } => {
                let content = content.get_or_insert_default();
                if content.len() < at + bytes.len() {
                    content.resize(at + bytes.len(), 0);
                }
                content[*at..at + bytes.len()].copy_from_slice(bytes);
            }
        }
    }
}
