//! Other sinks, by a command line: run on the topic that ours runs on, into a bucket of their own,
//! until the bucket holds every record or they end by themselves.

use std::collections::HashMap;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::cost::{Cost, most};
use crate::landed::{ByLines, Landed};
use crate::stage::{Stage, Topic};
use crate::support::bucket::Bucket;
use crate::support::minio::Minio;
use crate::support::process::Process;
use crate::support::workdir::WorkDir;

const TIMEOUT: Duration = Duration::from_secs(1800);
/// How often the processes are looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How often the bucket is.
const COUNT: Duration = Duration::from_secs(2);

/// Runs another sink. It is stopped by SIGTERM when all is there; what it used until that was seen
/// counts, with the processes that it started.
pub(crate) fn run(stage: &Stage, topic: &Topic, command: &str) -> (Cost, Landed, Bucket) {
    let (bucket, dir) = (stage.bucket(), WorkDir::new("other"));
    let filled = fill_in(stage, topic, &bucket, command);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(filled).current_dir(dir.path());
    // Those of ours have it by `SinkConfig`.
    shell.envs(bucket.credentials()).env("AWS_REGION", "us-east-1");
    let started = Instant::now();
    let mut process = Process::start("other", shell, &dir.path().join("log"));
    let mut tree = Tree::default();
    let (mut lines, mut landed, mut counted) = (ByLines::default(), Landed::default(), started);
    loop {
        std::thread::sleep(LOOK);
        tree.look(process.pid());
        let wall = started.elapsed();
        let ended = process.ended();
        if ended.is_some() || counted.elapsed() >= COUNT {
            landed = lines.look(&bucket);
            counted = Instant::now();
        }
        if ended.is_some() || landed.records >= topic.records || wall >= TIMEOUT {
            if ended.is_none() {
                tree.end(process.pid());
            }
            let used = ended.map_or(0.0, |end| end.cpu.as_secs_f64());
            let peak = ended.map_or(0.0, |end| end.peak_rss_kib as f64 / 1024.0);
            let (cpu, peak_mib) = (used.max(tree.cpu()), peak.max(tree.peak_mib));
            if landed.records != topic.records {
                eprintln!("WRONG COUNT: {landed:?} of {}\n{}", topic.records, process.tail());
            }
            process.stop();
            return (Cost { wall: wall.as_secs_f64(), cpu, peak_mib }, landed, bucket);
        }
    }
}

fn fill_in(stage: &Stage, topic: &Topic, bucket: &Bucket, command: &str) -> String {
    [
        ("{bootstrap}", stage.broker.bootstrap().as_str()),
        ("{topic}", &topic.name),
        ("{bucket}", bucket.name()),
        ("{endpoint}", bucket.endpoint()),
        ("{access_key}", Minio::ACCESS_KEY),
        ("{secret_key}", Minio::SECRET_KEY),
    ]
    .iter()
    .fold(command.to_owned(), |text, (name, value)| text.replace(name, value))
}

/// A process and those below it.
#[derive(Default)]
struct Tree {
    /// Ticks of each, as last seen: those that are gone count too.
    ticks: HashMap<u32, u64>,
    peak_mib: f64,
}

impl Tree {
    fn look(&mut self, root: u32) {
        let mut resident = 0.0;
        for pid in members(root) {
            let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
            let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
            let number = |at| fields.split_whitespace().nth(at).and_then(|it| it.parse().ok());
            // User and system ticks, and resident pages.
            let (user, system): (u64, u64) = (number(11).unwrap_or(0), number(12).unwrap_or(0));
            self.ticks.insert(pid, user + system);
            resident += number(21).unwrap_or(0) as f64 * 4096.0 / (1 << 20) as f64;
        }
        self.peak_mib = most([self.peak_mib, resident]);
    }

    fn cpu(&self) -> f64 {
        // SAFETY: sysconf has no preconditions.
        let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
        self.ticks.values().sum::<u64>() as f64 / per_second as f64
    }

    /// SIGTERM to all, the children first: a shell would leave them running.
    fn end(&self, root: u32) {
        for pid in members(root).into_iter().rev() {
            // SAFETY: kill has no memory effects; they were there a moment ago.
            unsafe { libc::kill(pid as i32, libc::SIGTERM) };
        }
    }
}

/// The process and all below it, parents first.
fn members(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        next += 1;
        let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { continue };
        for task in tasks.flatten() {
            let children = std::fs::read_to_string(task.path().join("children"));
            let children = children.unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
    }
    found
}
