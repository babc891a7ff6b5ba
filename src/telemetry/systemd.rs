//! Tells systemd how the daemon is: ready, status, watchdog, stopping.
//!
//! The daemon calls it; outside systemd (no `NOTIFY_SOCKET`) nothing happens. A message is one
//! small datagram on a local socket, short enough for an async thread.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};

use super::Status;

/// How often the status line is looked at.
const STATUS_EVERY: Duration = Duration::from_secs(5);

/// The start is done (`Type=notify`).
pub fn ready() {
    notify(&NotifyState::Ready);
}

/// The shutdown has begun.
pub fn stopping() {
    notify(&NotifyState::Stopping);
}

/// The line that `systemctl status` shows.
pub fn status(line: &str) {
    // A line break would begin a message of its own.
    let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    notify(&NotifyState::Status(&line));
}

/// Keeps systemd informed until `shutdown` resolves: the status line when it changes, and the
/// watchdog at half of its time while the process is alive. Let it run through the flush of a
/// shutdown, or the watchdog ends that.
pub async fn tend(shared: Arc<Status>, shutdown: impl Future<Output = ()>) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    tokio::select! {
        () = shutdown => {}
        () = keep_status(&shared) => {}
        () = keep_watchdog(&shared) => {}
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
    use crate::telemetry::Condition;

    const WATCHDOG: Duration = Duration::from_millis(200);

    /// What a service manager with a watchdog would be told; ends after a few half-times of it.
    fn act_as_a_service() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let shared = Arc::new(Status::new());
            shared.unmet(Condition::BrokerReachable, "no route\nto 10.0.0.1:9092");
            ready();
            tend(Arc::clone(&shared), tokio::time::sleep(WATCHDOG * 2)).await;
            stopping();
        });
    }

    fn messages(socket: &UnixDatagram) -> Vec<String> {
        socket.set_nonblocking(true).unwrap();
        let mut buffer = [0; 4096];
        std::iter::from_fn(|| socket.recv(&mut buffer).ok().map(|length| buffer[..length].to_vec()))
            .map(|bytes| String::from_utf8(bytes).unwrap())
            .collect()
    }

    /// The environment belongs to the whole process, so the service is this test in a process of
    /// its own.
    #[test]
    fn a_service_manager_hears_everything() {
        if std::env::var_os("NOTIFY_SOCKET").is_some() {
            return act_as_a_service();
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "telemetry::systemd::tests::a_service_manager_hears_everything"])
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string())
            .env_remove("WATCHDOG_PID")
            .output()
            .unwrap();
        assert!(child.status.success(), "{child:?}");

        let messages = messages(&socket);
        assert_eq!(messages.first().unwrap(), "READY=1\n");
        assert_eq!(messages.last().unwrap(), "STOPPING=1\n");
        let statuses: Vec<_> = messages.iter().filter(|m| m.starts_with("STATUS=")).collect();
        assert_eq!(statuses.len(), 1, "{messages:?}");
        assert!(statuses[0].contains("broker_reachable (no route to 10.0.0.1:9092)"));
        assert_eq!(statuses[0].lines().count(), 1);
        // At once, and then at every half of its time: 0, 100, 200, 300 ms; less on a slow machine.
        let beats = messages.iter().filter(|m| *m == "WATCHDOG=1\n").count();
        assert!((2..=5).contains(&beats), "{messages:?}");
    }

    #[tokio::test]
    async fn outside_systemd_nothing_is_tended() {
        // Nobody set the variable for the tests, so this returns although nothing ends it.
        tend(Arc::new(Status::new()), std::future::pending()).await;
        ready();
        stopping();
    }
}
