//! A small machine that is booted for a test: systemd and all that it starts, in a root of its own
//! (systemd-nspawn over an overlay). It shares the network with the tests, so what listens there is
//! reached at 127.0.0.1, on ports of the test's own; or it has a network and a second disk to itself.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::process::Process;
use super::tools;
use super::workdir::WorkDir;

const BOOT: Duration = Duration::from_secs(60);

/// A machine that runs. Dropping it pulls the plug.
pub(crate) struct Machine {
    process: Option<Process>,
    /// What is seen of this computer, read only: a path here, and one there.
    binds: Vec<(PathBuf, String)>,
    /// A block device that it has as /dev/sdf. One that has it has a network of its own too.
    disk: Option<PathBuf>,
    // After the process, so that it is dead before its folder goes.
    dir: WorkDir,
}

impl Machine {
    /// Boots one. `None` where it cannot be and the tests may go on without.
    pub(crate) fn boot(binds: &[(&Path, &str)]) -> Option<Self> {
        Self::boot_with(binds, None)
    }

    /// Boots one as EC2 has them: a private address, a second disk, and nobody around.
    pub(crate) fn boot_alone(binds: &[(&Path, &str)], disk: &Path) -> Option<Self> {
        let machine = Self::boot_with(binds, Some(disk.to_owned()))?;
        for route in ["addr add 10.80.0.10/24 dev lo", "route add default dev lo src 10.80.0.10"] {
            machine.run(&["bash", "-c", &format!("ip {route}")]);
        }
        Some(machine)
    }

    fn boot_with(binds: &[(&Path, &str)], disk: Option<PathBuf>) -> Option<Self> {
        tools::machine_is_here().then(|| {
            let binds = binds.iter().map(|(here, there)| ((*here).to_owned(), (*there).to_owned()));
            let dir = WorkDir::new("machine");
            let mut machine = Self { process: None, binds: binds.collect(), disk, dir };
            for part in ["upper", "work", "root"] {
                std::fs::create_dir(machine.dir.path().join(part)).expect("a folder");
            }
            // It is there, so the journal is kept over a boot.
            std::fs::create_dir_all(machine.journal()).expect("a folder");
            machine.power_on();
            machine
        })
    }

    /// Boots it with the disk that it had.
    pub(crate) fn power_on(&mut self) {
        assert!(self.process.is_none(), "the machine runs already");
        let name = self.dir.path().file_name().expect("a name").to_string_lossy().into_owned();
        // The overlay is mounted where nobody else sees it, and goes with the machine.
        let script = "mount -t overlay overlay -o \"lowerdir=$1,upperdir=upper,workdir=work\" root && \
                      shift && exec systemd-nspawn \"$@\"";
        let mut command = Command::new("unshare");
        command.current_dir(self.dir.path()).args(["--mount", "--propagation", "private"]);
        command.args(["bash", "-c", script, "boot"]).arg(tools::dir().join("machine"));
        command.args(["--directory=root", "--quiet", "--boot", "--register=no", "--keep-unit"]);
        command.args(["--link-journal=no", "--machine", &name]);
        for (here, there) in &self.binds {
            command.arg(format!("--bind-ro={}:{there}", here.display()));
        }
        if let Some(disk) = &self.disk {
            command.arg("--private-network").arg(format!("--bind={}:/dev/sdf", disk.display()));
        }
        let log = self.dir.path().join("console.log");
        let mut process = Process::start("machine", command, &log);
        let pid = process.pid();
        process.wait_ready(BOOT, || is_up(pid));
        self.process = Some(process);
    }

    /// An orderly shutdown, as the power button asks for it; waits for its end.
    pub(crate) fn power_off(&mut self) {
        self.run(&["systemctl", "poweroff", "--no-block"]);
        let mut process = self.process.take().expect("the machine runs");
        let end = process.wait(Duration::from_secs(120));
        assert!(end.is_some(), "no end of the shutdown; the console:\n{}", process.tail());
    }

    /// Runs a command in it; its exit code and all that it printed.
    pub(crate) fn try_run(&self, args: &[&str]) -> (i32, String) {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.init().to_string(), "--all", "--"]).args(args);
        let output = command.env_remove("NOTIFY_SOCKET").output().expect("nsenter");
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
    }

    /// The same for one that must succeed; what it printed.
    pub(crate) fn run(&self, args: &[&str]) -> String {
        let (code, text) = self.try_run(args);
        assert_eq!(code, 0, "{args:?}: {text}\n{}", self.tail_of_journal());
        text
    }

    /// One property of a unit.
    pub(crate) fn show(&self, unit: &str, property: &str) -> String {
        let text = self.run(&["systemctl", "show", "--value", "-p", property, unit]);
        text.trim().to_owned()
    }

    /// Waits until a unit is active.
    pub(crate) fn wait_active(&self, unit: &str, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        while self.show(unit, "ActiveState") != "active" {
            let late = Instant::now() >= deadline;
            assert!(!late, "{unit} is not active\n{}", self.tail_of_journal());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Its first process, as this computer counts.
    pub(crate) fn init(&self) -> u32 {
        init_of(self.process.as_ref().expect("the machine runs").pid()).expect("it is up")
    }

    /// Where this computer sees a file of it.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.init()))
    }

    /// Writes a file into it.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    /// All lines of its journal, over all its boots, also while it is off.
    pub(crate) fn read_journal(&self) -> String {
        let mut command = Command::new("journalctl");
        command.arg("-D").arg(self.journal()).args(["--no-pager", "-o", "short-unix"]);
        let output = command.output().expect("journalctl");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn tail_of_journal(&self) -> String {
        let journal = self.read_journal();
        let lines: Vec<_> = journal.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    fn journal(&self) -> PathBuf {
        self.dir.path().join("upper/var/log/journal")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let init = self.process.as_ref().and_then(|process| init_of(process.pid()));
        if let Some(init) = init {
            // systemd-nspawn's own end would leave it running. All of its processes go with it.
            // SAFETY: kill has no memory effects; its parent has not reaped it, for it runs.
            unsafe { libc::kill(init as i32, libc::SIGKILL) };
        }
    }
}

/// The first process of the machine: the child of systemd-nspawn.
fn init_of(pid: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

fn is_up(pid: u32) -> bool {
    let Some(init) = init_of(pid) else { return false };
    let mut command = Command::new("nsenter");
    command.args(["--target", &init.to_string(), "--all", "--"]);
    let output = command.args(["systemctl", "is-system-running"]).output();
    output.is_ok_and(|output| {
        ["running", "degraded", "starting"]
            .contains(&String::from_utf8_lossy(&output.stdout).trim())
    })
}
