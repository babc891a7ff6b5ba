//! What the machine, or the container, gives this process.

use std::fs;
use std::path::{Path, PathBuf};

/// Memory and cores.
#[derive(Clone, Copy, Debug)]
pub(super) struct Machine {
    /// Bytes that the process may use; `None` where nothing tells.
    pub(super) memory: Option<u64>,
    /// Cores that the process may use.
    pub(super) cores: usize,
}

impl Machine {
    /// Asks the system.
    pub(super) fn read() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        Self { memory: memory(Path::new("/")), cores }
    }
}

/// The smallest of the limits of our control groups (version 2 and 1) and the machine's memory,
/// under a root that tests choose.
fn memory(root: &Path) -> Option<u64> {
    cgroup_limits(root).into_iter().chain(total(root)).min()
}

fn total(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// A line of `/proc/self/cgroup` reads `0::/path` in version 2, `7:memory:/path` in version 1.
fn cgroup_limits(root: &Path) -> Vec<u64> {
    let lines = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    lines
        .lines()
        .filter_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, group) = rest.split_once(':')?;
            let (mount, file) = match controllers {
                "" => ("sys/fs/cgroup", "memory.max"),
                _ if controllers.split(',').any(|name| name == "memory") => {
                    ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
                }
                _ => return None,
            };
            limit_on_the_way(&root.join(mount), group, file)
        })
        .collect()
}

/// The smallest limit from our group up to the mount: a parent's limit holds for its children,
/// and in a container without a namespace of its own only the mount itself is there.
fn limit_on_the_way(mount: &Path, group: &str, file: &str) -> Option<u64> {
    let group = PathBuf::from(group.trim_start_matches('/'));
    group
        .ancestors()
        .filter_map(|step| fs::read_to_string(mount.join(step).join(file)).ok())
        // Version 2 writes "max" where there is no limit, version 1 a number beyond any machine.
        .filter_map(|text| text.trim().parse().ok())
        .min()
}

#[cfg(test)]
#[path = "tests/machine.rs"]
mod tests;
