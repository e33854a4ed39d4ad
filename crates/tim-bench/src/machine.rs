//! The machine under the figures, which mean nothing without it.

use std::fs;
use std::path::Path;

use serde::Serialize;

/// The machine, as far as it says what it is.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Machine {
    /// Processors that this process may use.
    pub cores: usize,
    /// The model of the processor.
    pub processor: Option<String>,
    /// The kernel and its version.
    pub kernel: Option<String>,
    /// The load average of the last minute. Anything near the number of cores disturbs every figure.
    pub load: Option<f64>,
    /// Where the data are.
    pub file_system: Option<FileSystem>,
}

impl Machine {
    /// This machine, with data in this directory.
    #[must_use]
    pub fn here(directory: Option<&Path>) -> Self {
        let read = |path: &str| fs::read_to_string(path).ok();
        let processor = read("/proc/cpuinfo").and_then(|all| {
            let model = all.lines().find_map(|line| line.strip_prefix("model name"))?;
            Some(model.trim_start_matches([' ', '\t', ':']).to_owned())
        });
        let kernel = read("/proc/sys/kernel/osrelease").map(|release| format!("Linux {}", release.trim()));
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processor,
            kernel,
            load: load(),
            file_system: directory.and_then(FileSystem::of),
        }
    }
}

/// The load average of the last minute.
#[must_use]
pub fn load() -> Option<f64> {
    let load = fs::read_to_string("/proc/loadavg").ok()?;
    load.split(' ').next()?.parse().ok()
}

/// A file system.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct FileSystem {
    /// Its kind: ext4, tmpfs, ...
    pub kind: String,
    /// The device that it is on.
    pub device: String,
    /// The options of its super block, which say how it syncs.
    pub options: String,
}

impl FileSystem {
    /// The file system under a directory.
    #[must_use]
    pub fn of(directory: &Path) -> Option<Self> {
        let device = device_of(directory)?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        Self::find(&mounts, &device)
    }

    /// In the text of `mountinfo`, the mount of a device.
    fn find(mounts: &str, device: &str) -> Option<Self> {
        let mut lines = mounts.lines().rev();
        let line = lines.find(|line| line.split(' ').nth(2) == Some(device))?;
        let (_, rest) = line.split_once(" - ")?;
        let mut fields = rest.split(' ').map(str::to_owned);
        Some(Self {
            kind: fields.next()?,
            device: fields.next()?,
            options: fields.next()?,
        })
    }

    /// It keeps everything in memory: a sync does nothing.
    #[must_use]
    pub fn is_memory(&self) -> bool {
        matches!(&*self.kind, "tmpfs" | "ramfs")
    }
}

/// The number of the device under a directory, as `/sys` and `/proc` write it.
pub(crate) fn device_of(directory: &Path) -> Option<String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let device = fs::metadata(directory).ok()?.dev();
        Some(format!(
            "{}:{}",
            rustix::fs::major(device),
            rustix::fs::minor(device)
        ))
    }
    #[cfg(not(unix))]
    {
        let _ = directory;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_mount_of_a_device_is_found() {
        let mounts = "\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw,errors=remount-ro\n\
30 22 0:27 / /tmp rw,nosuid shared:3 - tmpfs tmpfs rw,size=1g\n";
        let root = FileSystem::find(mounts, "254:0").expect("it is there");
        assert_eq!((&*root.kind, &*root.device), ("ext4", "/dev/vda"));
        assert_eq!(root.options, "rw,errors=remount-ro");
        assert!(!root.is_memory());
        assert!(FileSystem::find(mounts, "0:27").expect("it is there").is_memory());
        assert!(FileSystem::find(mounts, "8:1").is_none());
    }
}
