//! The places of a group: in each a sink lives, is killed, frozen, stopped, and lives again with
//! another configuration.

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use crate::dice::Dice;
use crate::faults::Fault;
use crate::stage::{Actor, Stage, between};
use crate::support::process::End;
use crate::support::sink::{Sink, SinkConfig};

/// What may differ from one life to the next, and between the members of a group. A batch that was
/// begun is finished as it was begun.
const LAYOUTS: [&[(&str, &str)]; 6] = [
    &[],
    &[("layout.compression", "zstd")],
    &[("layout.prefix", "raw2"), ("rotation.on_revoke", "flush")],
    &[("layout.compression", "none"), ("records.envelope", "fields")],
    &[("layout.prefix", "raw3"), ("layout.partition_by", "dt")],
    &[("rotation.on_revoke", "flush"), ("rotation.max_bytes", "20KiB")],
];
const RECORDS_AT_MOST: [i64; 4] = [60, 150, 400, 1000];

/// What sinks say of moments in which they were hit.
const DEEDS: [&str; 6] = [
    "replays a pinned batch",
    "the spool failed to",
    "adopts a batch that another member won",
    "it is tried again",
    "no broker can be reached",
    "the store cannot be used",
];

/// Longer than a sink needs to stop, were its servers all away.
const END_TIMEOUT: Duration = Duration::from_secs(90);
/// The exit code of a sink that must not go on, `HARD_STOP_EXIT_CODE`.
const HARD_STOP: i32 = 70;

/// See the module.
pub(crate) struct Slot<'a> {
    stage: &'a Stage<'a>,
    name: String,
    base: SinkConfig,
    /// The name of a static member.
    instance: Option<String>,
    dice: Dice,
    sink: Option<Sink>,
    lives: u64,
    /// The number of the life that is there.
    life: u64,
    /// The layout and the limits of this life.
    choice: (usize, usize),
}

impl<'a> Slot<'a> {
    /// A place that nobody is in yet.
    pub(crate) fn new(stage: &'a Stage<'a>, name: &str, base: SinkConfig, is_static: bool) -> Self {
        Self {
            stage,
            name: name.to_owned(),
            base,
            instance: is_static.then(|| name.to_owned()),
            dice: stage.dice(&format!("{name} lives")),
            sink: None,
            lives: 0,
            life: 0,
            choice: (0, 2),
        }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The faults of a place.
    pub(crate) fn kinds(&self) -> Vec<Fault> {
        let mut kinds =
            vec![Fault::SinkKilled, Fault::SinkFrozen, Fault::SinkStopped, Fault::SinkLeft];
        if self.instance.is_some() {
            kinds.push(Fault::SinkReplaced);
        }
        kinds
    }

    /// A new life, most times with another configuration.
    pub(crate) fn live(&mut self) {
        let choice = (
            self.dice.below(LAYOUTS.len() as u64) as usize,
            self.dice.below(RECORDS_AT_MOST.len() as u64) as usize,
        );
        if self.lives > 0 && choice != self.choice {
            self.stage.counts.saw(Fault::SinkReconfigured, 1);
        }
        self.choice = choice;
        let age = 1 + self.dice.below(3);
        let config = self.base.clone().set("rotation.max_age", format!("{age}s"));
        let config = config.set("rotation.max_records", RECORDS_AT_MOST[choice.1]);
        let mut config = LAYOUTS[choice.0].iter().fold(config, |config, (key, value)| match *key {
            "layout.partition_by" => config.set(key, vec![(*value).to_owned()]),
            _ => config.set(key, *value),
        });
        let spool = self.stage.depot.spool();
        if self.dice.one_in(2) {
            // What is compressed or young is too small for it.
            config = config
                .set("memory.spool_dir", spool.to_str().expect("text"))
                .set("layout.compression", "none")
                .set("rotation.max_age", "5s");
        }
        if let Some(instance) = &self.instance {
            config = config.set("kafka.group_instance_id", instance.as_str());
        }
        self.lives += 1;
        self.life = self.lives;
        let sink = Sink::run(&config);
        let (name, life, pid) = (&self.name, self.lives, sink.pid());
        self.stage.tell(&format!("{name} life {life}: pid {pid}, {choice:?}, max_age {age}s"));
        self.sink = Some(sink);
    }

    /// Joins after a while, where others are already.
    pub(crate) fn join(&mut self, after: Duration) {
        self.stage.sleep(after);
        self.live();
        self.stage.strike(Fault::SinkJoined, &self.name.clone());
    }

    /// Starts it again if it has ended by itself, as a service manager would.
    pub(crate) fn supervise(&mut self) {
        let Some(mut sink) = self.sink.take() else { return };
        let Some(end) = sink.ended() else {
            self.sink = Some(sink);
            return;
        };
        self.close("by itself", self.life, &sink, end, &[HARD_STOP, 1]);
        self.stage.sleep(Duration::from_millis(500));
        self.live();
    }

    /// The end of the scenario: SIGTERM, which must end well now.
    pub(crate) fn finish(&mut self) {
        self.terminate("at the end", &[0]);
    }

    /// What its log says so far, for whoever looks for the reason of a standstill.
    pub(crate) fn keep_log(&self) {
        if let Some(sink) = &self.sink {
            self.keep(self.life, sink);
        }
    }

    fn keep(&self, life: u64, sink: &Sink) {
        self.stage.diary.keep(&format!("{}-life{life}.log", self.name), &sink.log());
    }

    /// A life has ended; what it says of itself must be in order.
    fn close(&self, how: &str, life: u64, sink: &Sink, end: End, codes: &[i32]) {
        self.keep(life, sink);
        let (code, signal) = (end.status.code(), end.status.signal());
        let life = format!("{} life {life}", self.name);
        self.stage.tell(&format!("{life} ended {how}: code {code:?}, signal {signal:?}"));
        if let Some(code) = code {
            self.stage.did(&format!("sinks ended {how}, exit code {code}"), 1);
        }
        let log = sink.log();
        for deed in DEEDS {
            self.stage.did(&format!("sinks said: {deed}"), log.matches(deed).count());
        }
        let bad = log.lines().find(|line| line.contains("panicked") || line.contains("code=\""));
        if let Some(line) = bad {
            self.stage.break_off(format!("{life}: {line}"));
        }
        if code.is_some_and(|code| !codes.contains(&code)) {
            let last = log.lines().last().unwrap_or_default();
            self.stage.break_off(format!("{life} ended {how} with exit code {code:?}: {last}"));
        }
    }

    fn terminate(&mut self, how: &str, codes: &[i32]) {
        let Some(mut sink) = self.sink.take() else { return };
        sink.sigterm();
        match sink.end_within(END_TIMEOUT) {
            Some(end) => self.close(how, self.life, &sink, end, codes),
            None => {
                self.keep(self.life, &sink);
                let (name, life) = (&self.name, self.life);
                self.stage.break_off(format!("{name} life {life}: no end after SIGTERM"));
            }
        }
    }

    fn kill(&mut self) {
        if let Some(mut sink) = self.sink.take() {
            let end = sink.kill9();
            self.close("by SIGKILL", self.life, &sink, end, &[HARD_STOP, 1]);
        }
    }

    /// Another takes its name while it stands still. Whoever comes to the group last has the name,
    /// which may be either of them where the broker was away; the other must notice, and end.
    fn replace(&mut self, time: Duration) {
        let Some(old) = self.sink.take() else { return };
        let (old_life, deadline) = (self.life, Instant::now() + END_TIMEOUT);
        old.sigstop();
        self.stage.sleep(time / 2);
        self.live();
        self.stage.sleep(time / 2);
        old.sigcont();
        let Some(new) = self.sink.take() else { return };
        let mut twins = [(self.life, new), (old_life, old)];
        while Instant::now() < deadline && self.stage.broken().is_none() {
            let ended = twins.iter_mut().position(|(_, sink)| sink.ended().is_some());
            if let Some(ended) = ended {
                let [first, second] = twins;
                let (gone, stays) = if ended == 0 { (first, second) } else { (second, first) };
                self.bury(gone);
                (self.life, self.sink) = (stays.0, Some(stays.1));
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        twins.iter().for_each(|(life, sink)| self.keep(*life, sink));
        self.stage.break_off(format!("{}: two of one name live on", self.name));
    }

    fn bury(&self, (life, mut sink): (u64, Sink)) {
        if let Some(end) = sink.ended() {
            self.close("replaced", life, &sink, end, &[HARD_STOP, 1]);
        }
    }
}

impl Actor for Slot<'_> {
    fn strike(&mut self, fault: Fault, dice: &mut Dice) {
        self.supervise();
        // Beyond the session, which is 4 s everywhere.
        let time = between(dice, 5000, 8000);
        self.stage.strike(fault, &format!("{} for {time:?}", self.name));
        match fault {
            Fault::SinkKilled => {
                self.kill();
                self.live();
            }
            Fault::SinkStopped => {
                self.terminate("by SIGTERM", &[0, 3, HARD_STOP]);
                self.live();
            }
            Fault::SinkFrozen => {
                let Some(sink) = &self.sink else { return };
                sink.sigstop();
                self.stage.sleep(time);
                sink.sigcont();
            }
            Fault::SinkReplaced => self.replace(time),
            Fault::SinkLeft => {
                self.terminate("by SIGTERM", &[0, 3, HARD_STOP]);
                self.join(time);
            }
            other => unreachable!("{other:?} is not for sinks"),
        }
    }

    fn idle(&mut self) {
        self.supervise();
    }
}
