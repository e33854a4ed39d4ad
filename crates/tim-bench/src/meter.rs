//! What a server costs its machine, from `/proc` and `/sys`: CPU time, bytes written to disk, flushes of the disk.
//!
//! A server is a process and its descendants. What cannot be read is `None`: on other systems than Linux, for a process of
//! another user, on a file system without a block device.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Threads;

/// Ticks a second in `/proc/PID/stat`: the same for every architecture that Rust's standard library runs on.
const TICKS: u64 = 100;
/// The fields of a block device's `stat`, from 0, that count sectors written and flushes.
const SECTORS_WRITTEN: usize = 6;
const FLUSHES: usize = 15;
/// The unit of `stat`, whatever the disk's own sectors are.
const SECTOR: u64 = 512;
/// How often the counters are read until none of the processes ends meanwhile.
const ATTEMPTS: usize = 20;

/// Reads the counters of one server.
#[derive(Debug, Clone)]
pub struct Meter {
    process: u32,
    /// The `stat` of the disk that the server writes to.
    disk: Option<PathBuf>,
}

/// Counters since the server, or the machine, started.
#[derive(Debug, Clone, Copy)]
pub struct Counters {
    cpu: Option<Duration>,
    written: Option<u64>,
    disk_sectors: Option<u64>,
    flushes: Option<u64>,
}

/// What was used between two readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// CPU time of the server, in steps of 10 ms.
    pub cpu: Option<Duration>,
    /// Bytes that the server caused to be written (`write_bytes` of `/proc/PID/io`): what it made dirty in the page cache. On a file
    /// system with large folios, that is more than what is written.
    pub written: Option<u64>,
    /// Bytes that reached the disk, whoever wrote them.
    pub disk_written: Option<u64>,
    /// Flushes of the disk, whoever asked for them.
    pub flushes: Option<u64>,
}

impl Meter {
    /// The counters of this process, which writes into this directory.
    #[must_use]
    pub fn new(process: u32, directory: &Path) -> Self {
        Self {
            process,
            disk: disk_of(directory),
        }
    }

    /// The CPU time of each thread of the server; `None` as for the counters, and once its process has ended.
    #[must_use]
    pub fn threads(&self) -> Option<Threads> {
        Threads::of(&tree_of(self.process))
    }

    /// The counters now. Those of a process that has ended are there until its parent waits for it.
    #[must_use]
    pub fn read(&self) -> Counters {
        let mut counters = self.read_once();
        for _ in 1..ATTEMPTS {
            let Err(incomplete) = counters else { break };
            counters = self.read_once().map_err(|_| incomplete);
        }
        counters.unwrap_or_else(|incomplete| incomplete)
    }

    /// An error if a process has ended meanwhile: its counters are those of its parent when that has waited for it.
    fn read_once(&self) -> Result<Counters, Counters> {
        let tree = tree_of(self.process);
        let sum = |one: fn(u32) -> Option<u64>| tree.iter().map(|process| one(*process)).sum::<Option<u64>>();
        let counters = Counters {
            cpu: sum(ticks_of)
                .filter(|_| !tree.is_empty())
                .map(|ticks| Duration::from_millis(ticks * 1_000 / TICKS)),
            written: sum(written_by).filter(|_| !tree.is_empty()),
            disk_sectors: self.disk_field(SECTORS_WRITTEN),
            flushes: self.disk_field(FLUSHES),
        };
        match tree.iter().all(|process| stat_of(*process).is_some()) {
            true => Ok(counters),
            false => Err(counters),
        }
    }

    fn disk_field(&self, field: usize) -> Option<u64> {
        self.disk.as_deref().and_then(|stat| field_of(stat, field))
    }

    /// What was used since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Counters) -> Usage {
        self.read().since(earlier)
    }
}

impl Counters {
    /// What was used between `earlier` and these.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Usage {
        let grown = |from: Option<u64>, to: Option<u64>| Some(to?.saturating_sub(from?));
        Usage {
            cpu: earlier
                .cpu
                .zip(self.cpu)
                .map(|(from, to)| to.saturating_sub(from)),
            written: grown(earlier.written, self.written),
            disk_written: grown(earlier.disk_sectors, self.disk_sectors).map(|sectors| sectors * SECTOR),
            flushes: grown(earlier.flushes, self.flushes),
        }
    }
}

/// What the files in a directory take on the disk, in bytes: blocks that are allocated, whatever the length.
///
/// # Errors
/// The file system's.
pub fn allocated(directory: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            bytes += allocated(&entry.path())?;
            continue;
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            bytes += metadata.blocks() * SECTOR;
        }
        #[cfg(not(unix))]
        {
            bytes += metadata.len();
        }
    }
    Ok(bytes)
}

/// CPU time of the calling thread; `None` on other systems than Linux.
#[must_use]
pub fn thread_cpu() -> Option<Duration> {
    let times = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let on_cpu = times.split(' ').next()?.parse().ok()?;
    Some(Duration::from_nanos(on_cpu))
}

/// Resident memory of a process in bytes, by its name in `/proc`.
#[must_use]
pub fn memory_of(process: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// CPU time of this process, without its children, in steps of 10 ms.
#[must_use]
pub fn own_cpu() -> Option<Duration> {
    let stat = stat_of(std::process::id())?;
    let fields = stat.split(' ').skip(11).take(2);
    let ticks: u64 = fields
        .map(|ticks| ticks.parse::<u64>().ok())
        .sum::<Option<u64>>()?;
    Some(Duration::from_millis(ticks * 1_000 / TICKS))
}

/// The fields of `/proc/PID/stat` from the state on: behind the name, which may contain anything.
fn stat_of(process: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    Some(fields.to_owned())
}

/// A process and its descendants; empty if it is not there.
fn tree_of(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let listing = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in listing.filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
        let parent = stat_of(process).and_then(|stat| stat.split(' ').nth(1)?.parse().ok());
        if let Some(parent) = parent {
            children.entry(parent).or_default().push(process);
        }
    }
    let mut tree = Vec::new();
    let mut next = Vec::from_iter(stat_of(root).map(|_| root));
    while let Some(process) = next.pop() {
        tree.push(process);
        next.extend(children.remove(&process).unwrap_or_default());
    }
    tree
}

/// User and system time of a process with all of its threads, and of the children that it has waited for.
fn ticks_of(process: u32) -> Option<u64> {
    let stat = stat_of(process)?;
    let fields = stat.split(' ').skip(11).take(4);
    fields.map(|ticks| ticks.parse::<u64>().ok()).sum()
}

/// Children that the process has waited for are in it.
fn written_by(process: u32) -> Option<u64> {
    let io = fs::read_to_string(format!("/proc/{process}/io")).ok()?;
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes:"))?;
    line.trim().parse().ok()
}

/// The `stat` of the whole disk under a directory: flushes are not counted for partitions.
fn disk_of(directory: &Path) -> Option<PathBuf> {
    let device = crate::machine::device_of(directory)?;
    let link = fs::canonicalize(format!("/sys/dev/block/{device}")).ok()?;
    let disk = if link.join("partition").exists() {
        link.parent()?.to_owned()
    } else {
        link
    };
    let stat = disk.join("stat");
    field_of(&stat, FLUSHES).map(|_| stat)
}

fn field_of(stat: &Path, field: usize) -> Option<u64> {
    let stat = fs::read_to_string(stat).ok()?;
    stat.split_whitespace().nth(field)?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn cpu_and_bytes_of_a_process_and_its_children_are_counted() {
        tim_testkit::deadline();
        let directory = tempfile::tempdir().expect("a directory");
        let meter = Meter::new(std::process::id(), directory.path());
        let before = meter.read();
        let mut file = fs::File::create(directory.path().join("file")).expect("a file");
        file.write_all(&vec![1; 1 << 20]).expect("room");
        file.sync_data().expect("a sync");
        let shell = Command::new("sh")
            .args(["-c", "n=0; while :; do n=$((n+1)); done"])
            .spawn();
        let mut shell = shell.expect("a shell");
        while meter.since(&before).cpu.expect("a time") < Duration::from_millis(30) {
            std::thread::yield_now();
        }
        shell.kill().expect("a process to kill");
        shell.wait().expect("its end");
        let used = meter.since(&before);
        assert!(used.cpu.expect("a time") >= Duration::from_millis(30), "{used:?}");
        if crate::FileSystem::of(directory.path()).is_some_and(|on| !on.is_memory()) {
            assert!(used.written.expect("a count") >= 1 << 20, "{used:?}");
            assert!(used.disk_written.is_none_or(|bytes| bytes >= 1 << 20), "{used:?}");
        }
    }

    /// A process that ends while the counters are read, as of another thread here, is no reason for not having them.
    #[test]
    fn children_that_come_and_go_are_no_gaps() {
        tim_testkit::deadline();
        let directory = tempfile::tempdir().expect("a directory");
        let meter = Meter::new(std::process::id(), directory.path());
        let children = std::thread::spawn(|| {
            for _ in 0..200 {
                let child = Command::new("true").spawn();
                child.expect("a process").wait().expect("its end");
            }
        });
        while !children.is_finished() {
            assert!(meter.read().cpu.is_some());
        }
        children.join().expect("children");
    }

    #[test]
    fn the_time_of_this_process_goes_on() {
        tim_testkit::deadline();
        let before = own_cpu().expect("a time");
        while own_cpu().expect("a time") < before + Duration::from_millis(20) {
            std::hint::spin_loop();
        }
    }

    /// What a server writes at its end counts too.
    #[test]
    fn a_process_that_has_ended_has_counters_until_it_is_waited_for() {
        use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
        let directory = tempfile::tempdir().expect("a directory");
        let mut child = Command::new("sh")
            .args([
                "-c",
                "read line; dd if=/dev/zero of=file bs=65536 count=16 conv=fsync",
            ])
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let meter = Meter::new(child.id(), directory.path());
        let before = meter.read();
        drop(child.stdin.take());
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(Pid::from_child(&child)), ended).expect("its end");
        let used = meter.since(&before);
        child.wait().expect("its end");
        assert!(used.cpu.is_some(), "{used:?}");
        if crate::FileSystem::of(directory.path()).is_some_and(|on| !on.is_memory()) {
            assert!(used.written.expect("a count") >= 1 << 20, "{used:?}");
        }
        assert_eq!(meter.read().written, None);
    }

    #[test]
    fn files_are_weighed_by_their_blocks() {
        let directory = tempfile::tempdir().expect("a directory");
        assert_eq!(allocated(directory.path()).expect("a listing"), 0);
        fs::create_dir(directory.path().join("more")).expect("a directory");
        let mut file = fs::File::create(directory.path().join("more/file")).expect("a file");
        file.write_all(&vec![1; 1 << 16]).expect("room");
        file.sync_all().expect("a sync");
        let hole = fs::File::create(directory.path().join("hole")).expect("a file");
        hole.set_len(1 << 30).expect("a length");
        let bytes = allocated(directory.path()).expect("a listing");
        assert!((1 << 16..1 << 20).contains(&bytes), "{bytes}");
    }

    #[test]
    fn a_process_that_is_not_there_has_no_counters() {
        let mut gone = Command::new("true")
            .stdin(Stdio::null())
            .spawn()
            .expect("a process");
        gone.wait().expect("its end");
        let counters = Meter::new(gone.id(), Path::new("/")).read();
        assert_eq!((counters.cpu, counters.written), (None, None));
    }
}
