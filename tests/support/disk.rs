//! Small disks: file systems of a fixed size that nobody else sees, made without touching the
//! machine's own mounts.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::process::Process;
use super::workdir::WorkDir;

const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Whether this process is root's.
pub(crate) fn is_root() -> bool {
    // SAFETY: geteuid has no preconditions.
    unsafe { libc::geteuid() == 0 }
}

/// A process that does nothing but keep a file system of so many bytes mounted at a folder.
pub(crate) fn mounted(at: &Path, log: &Path, bytes: u64) -> Process {
    std::fs::create_dir_all(at).expect("a folder");
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if !is_root() {
        command.arg("--map-root-user");
    }
    let mount = r#"mount -t tmpfs -o size="$1" tmpfs "$2" && exec sleep infinity"#;
    command.args(["sh", "-c", mount, "sh", &bytes.to_string()]).arg(at);
    let mut disk = Process::start("a small disk", command, log);
    let mounts = format!("/proc/{}/mounts", disk.pid());
    let wanted = format!(" {} tmpfs ", at.display());
    disk.wait_ready(START_TIMEOUT, || {
        std::fs::read_to_string(&mounts).is_ok_and(|mounts| mounts.contains(&wanted))
    });
    disk
}

/// A folder as a process with mounts of its own sees it.
pub(crate) fn seen_by(pid: u32, folder: &Path) -> PathBuf {
    let root = PathBuf::from(format!("/proc/{pid}/root"));
    root.join(folder.strip_prefix("/").expect("an absolute path"))
}

/// Fills the disk of a folder until nothing more goes on it, but for this file.
pub(crate) fn fill(folder: &Path) -> Ballast {
    let path = folder.join("ballast");
    let mut file = std::fs::File::create(&path).expect("a file on the small disk");
    let part = [0; 1 << 16];
    while file.write_all(&part).is_ok() {}
    Ballast(path)
}

/// What takes the room on a small disk; dropping it makes room again.
pub(crate) struct Ballast(PathBuf);

impl Drop for Ballast {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A small disk. It goes with this value.
pub(crate) struct SmallDisk {
    holder: Process,
    // After the process, so that it is dead before its folder goes.
    dir: WorkDir,
}

impl SmallDisk {
    /// One of so many bytes.
    pub(crate) fn new(bytes: u64) -> Self {
        let dir = WorkDir::new("disk");
        let holder = mounted(&dir.path().join("mount"), &dir.path().join("disk.log"), bytes);
        Self { holder, dir }
    }

    /// Where any process finds it.
    pub(crate) fn path(&self) -> PathBuf {
        seen_by(self.holder.pid(), &self.dir.path().join("mount"))
    }
}
