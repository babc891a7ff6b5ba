//! Children of the tests: started so that they end with the test process, ended by process id,
//! their output kept in a folder of their own.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock, mpsc};
use std::time::{Duration, Instant};

type SpawnJob = (Command, mpsc::Sender<std::io::Result<Child>>);

/// Starts a child that the kernel kills when this process ends, however it ends.
///
/// The kernel ties that to the thread that forked, and a test's thread ends with the test, so one
/// thread that lives as long as the process does all the forking.
pub(crate) fn spawn(mut command: Command) -> Child {
    static SPAWNER: OnceLock<Mutex<mpsc::Sender<SpawnJob>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, jobs) = mpsc::channel::<SpawnJob>();
        std::thread::Builder::new()
            .name("spawner".to_owned())
            .spawn(move || {
                for (mut command, reply) in jobs {
                    let _ = reply.send(command.spawn());
                }
            })
            .expect("a thread");
        Mutex::new(sender)
    });
    // SAFETY: prctl is async-signal-safe and touches only the child between fork and exec.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    let what = format!("{command:?}");
    let (reply, answer) = mpsc::channel();
    spawner.lock().expect("spawner").send((command, reply)).expect("spawner lives");
    match answer.recv().expect("spawner answers") {
        Ok(child) => child,
        Err(error) => panic!("cannot start {what}: {error}"),
    }
}

/// A running child with its output in a file.
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with stdout and stderr appended to `log`.
    pub(crate) fn start(name: &str, mut command: Command, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).expect("log file");
        let copy = file.try_clone().expect("log file");
        command.stdin(Stdio::null()).stdout(file).stderr(copy);
        let child = spawn(command);
        LIVE.lock().expect("live children").push(child.id());
        Self { name: name.to_owned(), child, log: log.to_owned() }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: i32) {
        // SAFETY: kill has no memory effects; the child is not reaped, so the id is still its own.
        let sent = unsafe { libc::kill(self.child.id() as i32, signal) };
        assert_eq!(sent, 0, "signal {signal} to {}", self.name);
    }

    /// Its exit status, if it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("wait")
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self, timeout: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + timeout;
        loop {
            let status = self.ended();
            if status.is_some() || Instant::now() >= deadline {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// SIGTERM, and SIGKILL if that is not enough.
    pub(crate) fn stop(mut self) {
        if self.ended().is_none() {
            self.signal(libc::SIGTERM);
            self.wait(Duration::from_secs(30));
        }
    }

    /// The last 8 KiB of its output.
    pub(crate) fn tail(&self) -> String {
        let Ok(mut file) = File::open(&self.log) else { return String::new() };
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        let mut bytes = Vec::new();
        let _ = file.seek(SeekFrom::Start(length.saturating_sub(8192)));
        let _ = file.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until `ready` says so; panics with the tail of the log if the child ends before or
    /// time runs out.
    pub(crate) fn wait_ready(&mut self, timeout: Duration, mut ready: impl FnMut() -> bool) {
        let deadline = Instant::now() + timeout;
        while !ready() {
            let ended = self.ended();
            if ended.is_some() || Instant::now() >= deadline {
                let name = &self.name;
                panic!("{name} did not start ({ended:?}); its log ends:\n{}", self.tail());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Children that are not reaped yet, so their ids are still their own.
static LIVE: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// Ends all children; for the end of this process, which drops no statics.
pub(super) fn kill_all() {
    for pid in LIVE.lock().map(|mut live| std::mem::take(&mut *live)).unwrap_or_default() {
        // SAFETY: kill and waitpid with a null status have no memory effects.
        unsafe {
            libc::kill(pid as i32, libc::SIGKILL);
            libc::waitpid(pid as i32, std::ptr::null_mut(), 0);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        LIVE.lock().expect("live children").retain(|pid| *pid != self.child.id());
        if self.ended().is_none() {
            // A frozen process dies of SIGKILL too.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- {} ends ---\n{}", self.name, self.tail());
        }
    }
}
