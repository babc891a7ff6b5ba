//! Tells systemd how the daemon is: ready, status, watchdog, stopping.
//!
//! The daemon calls it; outside systemd (no `NOTIFY_SOCKET`) nothing happens. A message is one
//! small datagram on a local socket: it waits only while systemd itself does not read.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};

use super::Status;

/// How often the status line is looked at.
const STATUS_EVERY: Duration = Duration::from_secs(5);

/// How often, until the start is done, it is looked whether it is.
const READY_EVERY: Duration = Duration::from_millis(100);

/// For how long from now a start that waits asks, and how often.
const START_WITHIN: Duration = Duration::from_secs(60);
const EXTEND_EVERY: Duration = Duration::from_secs(15);

/// What a stop takes beside the deadline of the shutdown: leaving the group, and the last threads.
const STOP_MARGIN: Duration = Duration::from_secs(10);

/// Whether systemd knows that the start is done.
static TOLD_READY: AtomicBool = AtomicBool::new(false);

/// The configuration is being read again, until `reloaded`. Before the start is done systemd hears
/// nothing of it, for the end of a reload is the word that a start is done.
pub fn reloading() {
    if TOLD_READY.load(Ordering::Relaxed) {
        notify(&NotifyState::Reloading);
        // Without the moment systemd does not take the word of a unit with `Type=notify-reload`.
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            notify(&now);
        }
    }
}

/// The configuration was read again.
pub fn reloaded() {
    if TOLD_READY.load(Ordering::Relaxed) {
        notify(&NotifyState::Ready);
    }
}

/// The shutdown has begun, and takes so long at most: a unit whose own limit is shorter waits.
pub fn stopping(within: Duration) {
    notify(&NotifyState::Stopping);
    extend_timeout(within.saturating_add(STOP_MARGIN));
}

/// From now on, for the start or the stop that goes on.
fn extend_timeout(within: Duration) {
    let within = within.as_micros().try_into().unwrap_or(u32::MAX);
    notify(&NotifyState::ExtendTimeoutUsec(within));
}

/// The line that `systemctl status` shows.
pub fn status(line: &str) {
    // A line break would begin a message of its own.
    let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    notify(&NotifyState::Status(&line));
}

/// Keeps systemd informed until `shutdown` resolves: that the start is done (`Type=notify`) or, while
/// the process is alive, wants more time; the status line when it changes; and the watchdog at half of
/// its time while the process is alive. Let it run through the flush of a shutdown, or the watchdog
/// ends that.
pub async fn tend(shared: Arc<Status>, shutdown: impl Future<Output = ()>) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    tokio::select! {
        () = shutdown => {}
        () = tell_ready(&shared) => {}
        () = keep_starting(&shared) => {}
        () = keep_status(&shared) => {}
        () = keep_watchdog(&shared) => {}
    }
}

/// Tells it once, and then waits for ever.
async fn tell_ready(shared: &Status) {
    let mut ticks = interval(READY_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !shared.has_begun() {
        ticks.tick().await;
    }
    notify(&NotifyState::Ready);
    TOLD_READY.store(true, Ordering::Relaxed);
    std::future::pending().await
}

/// By systemd's own word the watchdog begins with the end of the start (252 takes its first feeding for
/// that), so until then a hang is seen by this: what asks for no more time is killed. A shutdown has
/// asked for its own.
async fn keep_starting(shared: &Status) {
    let mut ticks = interval(EXTEND_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if shared.has_begun() || shared.is_shutting_down() {
            return std::future::pending().await;
        }
        if shared.live() {
            extend_timeout(START_WITHIN);
        }
    }
}

async fn keep_status(shared: &Status) {
    let mut told = String::new();
    let mut ticks = interval(STATUS_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let line = shared.summary();
        if line != told {
            status(&line);
            told = line;
        }
    }
}

async fn keep_watchdog(shared: &Status) {
    // A unit without WatchdogSec wants none.
    let Some(within) = sd_notify::watchdog_enabled().filter(|within| !within.is_zero()) else {
        return std::future::pending().await;
    };
    let mut ticks = interval(within / 2);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if shared.live() {
            notify(&NotifyState::Watchdog);
        }
    }
}

fn notify(state: &NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        tracing::warn!(%error, "systemd could not be told `{state}`");
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;
    use std::process::Command;

    use super::*;
    use crate::telemetry::status::liveness::BEAT_WITHIN;
    use crate::telemetry::{Condition, clock};

    /// The environment belongs to the whole process, so the service of these tests is the same
    /// program again, with this variable set: `alive`, `waiting`, `hanging` or
    /// `waiting hanging`.
    const ROLE: &str = "KAFKA_S3_SINK_TEST_OF_SYSTEMD";
    const WATCHDOG: Duration = Duration::from_millis(200);
    const MORE_TIME: &str = "EXTEND_TIMEOUT_USEC=60000000\n";

    #[test]
    fn a_service_in_a_process_of_its_own() {
        let Ok(role) = std::env::var(ROLE) else {
            assert_eq!(sd_notify::watchdog_enabled(), None, "these tests do not run as a service");
            return;
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(serve(&role));
    }

    /// Does what the daemon does, for a few half-times of the watchdog.
    async fn serve(role: &str) {
        let origin = clock::monotonic() - BEAT_WITHIN * 2;
        let shared = Arc::new(Status::started_at(clock::wall(), origin));
        shared.met(Condition::GroupAnswered);
        shared.met(Condition::StoreReachable);
        match role.starts_with("waiting") {
            true => shared.unmet(Condition::BrokerReachable, "no route\nto 10.0.0.1:9092"),
            false => shared.met(Condition::BrokerReachable),
        }
        let beat = shared.beat("lane-0");
        if role.ends_with("hanging") {
            beat.beat_at(origin);
        }
        tend(shared, tokio::time::sleep(WATCHDOG * 5)).await;
        stopping(Duration::from_secs(50));
    }

    /// All that a service manager hears of such a service.
    fn heard(role: &str) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let mut service = service(role);
        service.env("NOTIFY_SOCKET", &path);
        service.env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string()).env_remove("WATCHDOG_PID");
        // The kernel queues ten messages, then the sender waits: they are read as they come.
        let reader = std::thread::spawn(move || read_to_the_end(&socket));
        let output = service.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        reader.join().unwrap()
    }

    fn read_to_the_end(socket: &UnixDatagram) -> Vec<String> {
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut messages: Vec<String> = Vec::new();
        let mut buffer = [0; 4096];
        // What a stop tells last follows that it stops.
        while !matches!(&messages[..], [.., stopping, _] if stopping == "STOPPING=1\n") {
            let length = socket.recv(&mut buffer).unwrap();
            messages.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
        }
        messages
    }

    fn service(role: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let name = "telemetry::systemd::tests::a_service_in_a_process_of_its_own";
        command.args(["--exact", name]).env(ROLE, role);
        command
    }

    fn count(messages: &[String], wanted: &str) -> usize {
        messages.iter().filter(|message| *message == wanted).count()
    }

    fn watchdogs(messages: &[String]) -> usize {
        count(messages, "WATCHDOG=1\n")
    }

    #[test]
    fn a_service_manager_hears_everything() {
        let messages = heard("alive");
        assert_eq!(count(&messages, "READY=1\n"), 1);
        // For the stop, and none for a start that is done.
        let [.., stopping, extended] = &messages[..] else { panic!("{messages:?}") };
        assert_eq!((stopping.as_str(), extended.as_str()), ("STOPPING=1\n", MORE_TIME));
        assert_eq!(count(&messages, MORE_TIME), 1);
        // At once, then at every half of its time; a busy machine delays some.
        assert!((2..=11).contains(&watchdogs(&messages)), "{messages:?}");
    }

    #[test]
    fn what_is_waited_for_is_the_status_and_the_start_is_not_done() {
        let messages = heard("waiting");
        assert_eq!(count(&messages, "READY=1\n"), 0, "{messages:?}");
        // At once, and once more for the stop.
        assert_eq!(count(&messages, MORE_TIME), 2, "{messages:?}");
        let statuses: Vec<_> = messages.iter().filter(|m| m.starts_with("STATUS=")).collect();
        assert_eq!(statuses.len(), 1, "{messages:?}");
        assert!(statuses[0].contains("broker_reachable (no route to 10.0.0.1:9092)"));
        assert_eq!(statuses[0].lines().count(), 1);
    }

    #[test]
    fn the_watchdog_is_not_fed_while_a_thread_hangs() {
        let messages = heard("hanging");
        assert_eq!(watchdogs(&messages), 0, "{messages:?}");
    }

    #[test]
    fn a_start_that_hangs_asks_for_no_more_time() {
        let messages = heard("waiting hanging");
        assert_eq!(count(&messages, "READY=1\n"), 0, "{messages:?}");
        assert_eq!(count(&messages, MORE_TIME), 1, "the stop alone: {messages:?}");
    }

    #[test]
    fn outside_systemd_nothing_happens() {
        let mut service = service("alive");
        let output = service.env_remove("NOTIFY_SOCKET").output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}
