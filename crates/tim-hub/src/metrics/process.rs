//! What the system knows of the process. Only Linux says it, in files of `/proc`.

/// What the process takes up. Each is `None` if it is unknown.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Process {
    pub(super) resident_bytes: Option<u64>,
    pub(super) virtual_bytes: Option<u64>,
    pub(super) open_fds: Option<u64>,
    pub(super) max_fds: Option<u64>,
    pub(super) threads: Option<u64>,
    /// Time on processors, in hundredths of a second.
    pub(super) cpu_ticks: Option<u64>,
    /// Unix time in seconds.
    pub(super) started_s: Option<u64>,
}

/// So many ticks a second are what Linux tells programs, whatever it counts with itself.
const TICKS: u64 = 100;

impl Process {
    pub(super) fn look() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let status = read("/proc/self/status");
        let kilobytes = |key| word_after(&status, key, 0).map(|number| number * 1024);
        let stat = read("/proc/self/stat");
        // Behind the name of the program, which may have spaces in it.
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .map(|(_, rest)| rest.split_whitespace().collect())
            .unwrap_or_default();
        let field = |number: usize| fields.get(number)?.parse::<u64>().ok();
        let booted_s = word_after(&read("/proc/stat"), "btime", 0);
        Self {
            resident_bytes: kilobytes("VmRSS:"),
            virtual_bytes: kilobytes("VmSize:"),
            open_fds: std::fs::read_dir("/proc/self/fd")
                .ok()
                .map(|files| (files.count() as u64).saturating_sub(1)), // this look is one
            max_fds: word_after(&read("/proc/self/limits"), "Max open files", 0),
            threads: word_after(&status, "Threads:", 0),
            cpu_ticks: field(11).zip(field(12)).map(|(user, system)| user + system),
            started_s: booted_s
                .zip(field(19))
                .map(|(booted, ticks)| booted + ticks / TICKS),
        }
    }
}

/// The number at this place behind a key at the begin of a line.
fn word_after(text: &str, key: &str, place: usize) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_whitespace().nth(place)?.parse().ok()
}
