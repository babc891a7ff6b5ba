//! Children of the tests: started so that they end with the test process, ended by process id,
//! their output kept in a folder of their own.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::{CommandExt, ExitStatusExt};
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
    pid: i32,
    log: PathBuf,
    end: Option<End>,
}

/// How a child ended, and what it used until then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    /// Its exit status.
    pub(crate) status: ExitStatus,
    /// Processor time, user and system.
    pub(crate) cpu: Duration,
    /// Its largest resident size.
    pub(crate) peak_rss_kib: u64,
}

impl Process {
    /// Starts `command` with stdout and stderr appended to `log`.
    pub(crate) fn start(name: &str, mut command: Command, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).expect("log file");
        let copy = file.try_clone().expect("log file");
        command.stdin(Stdio::null()).stdout(file).stderr(copy);
        let pid = spawn(command).id();
        LIVE.lock().expect("live children").push(pid as i32);
        Self { name: name.to_owned(), pid: pid as i32, log: log.to_owned(), end: None }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.pid as u32
    }

    /// Sends it a signal; a child that has ended gets none.
    pub(crate) fn signal(&self, signal: i32) {
        if self.end.is_none() {
            // SAFETY: kill has no memory effects; the child is not reaped, its id is still its own.
            let sent = unsafe { libc::kill(self.pid, signal) };
            assert_eq!(sent, 0, "signal {signal} to {}", self.name);
        }
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<End> {
        if self.end.is_none() {
            self.end = reap(self.pid, libc::WNOHANG);
        }
        self.end
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self, timeout: Duration) -> Option<End> {
        let deadline = Instant::now() + timeout;
        loop {
            let end = self.ended();
            if end.is_some() || Instant::now() >= deadline {
                return end;
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

    /// All that it has printed.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
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
static LIVE: Mutex<Vec<i32>> = Mutex::new(Vec::new());

/// Takes the exit status of a child, once.
fn reap(pid: i32, options: i32) -> Option<End> {
    let mut live = LIVE.lock().expect("live children");
    let mut status = 0;
    // SAFETY: rusage is plain numbers, for which zeros are a value; wait4 fills it.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for the call; the child is ours and not reaped yet.
    let reaped = unsafe { libc::wait4(pid, &raw mut status, options, &raw mut usage) };
    if reaped != pid {
        return None;
    }
    live.retain(|live| *live != pid);
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    Some(End {
        status: ExitStatus::from_raw(status),
        cpu: time(usage.ru_utime) + time(usage.ru_stime),
        peak_rss_kib: usage.ru_maxrss as u64,
    })
}

/// Ends all children; for the end of this process, which drops no statics.
pub(super) fn kill_all() {
    let live = LIVE.lock().map(|live| live.clone()).unwrap_or_default();
    for pid in live {
        // SAFETY: kill has no memory effects; the child is not reaped, its id is still its own.
        unsafe { libc::kill(pid, libc::SIGKILL) };
        reap(pid, 0);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            // A frozen process dies of SIGKILL too.
            self.signal(libc::SIGKILL);
            reap(self.pid, 0);
        }
        if std::thread::panicking() {
            eprintln!("--- {} ends ---\n{}", self.name, self.tail());
        }
    }
}
