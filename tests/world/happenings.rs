//! What happens of itself: records come and go, time passes, brokers and memory fail.

use std::sync::Arc;

use kafka_s3_sink::daemon::driver::LaneInput;

use crate::process::Process;
use crate::world::World;

impl World {
    pub(crate) fn hostile_step(&mut self) {
        match self.dice.below(200) {
            0..=1 => self.crash(),
            2..=3 => self.freeze(),
            4..=8 => self.scale_up(),
            9 => self.terminate(),
            10..=60 => self.produce(1 + self.now % 4),
            61 => self.add_partition(),
            62..=65 if self.deletes => self.delete_records(),
            66..=70 => self.memory(),
            71 => self.jump(),
            72 if self.goes_away => self.broker_away(),
            73 | 74 if self.rolls_back => self.roll_back(),
            75 | 76 => self.shorten_log(),
            77 if self.tampers => self.tamper(),
            78 if self.operates => self.flush(),
            79 if self.operates && self.policies_of_all.is_none() => self.change_limits(),
            80 | 81 if self.operates => self.move_to_another_lane(),
            _ => {}
        }
    }

    pub(crate) fn ordinary_step(&mut self) {
        self.group_tick();
        self.note_spools();
        match self.dice.below(16) {
            0 | 1 => self.fetch(),
            2..=5 => self.lane_turn(),
            6..=8 => self.store_step(),
            9..=11 => self.commit_step(),
            12 => self.inquiry_step(),
            13 | 14 => self.client_tick(),
            // Without a broker there is little else to do than to wait.
            _ if self.now < self.broker_away_until => self.now += 1 + self.dice.below(2_000),
            _ => self.now += 1 + self.dice.below(100),
        }
    }

    pub(crate) fn produce(&mut self, count: u64) {
        for _ in 0..count {
            let all = self.all();
            let at = self.dice.pick(&all).clone();
            let (uid, hour) = (self.next_uid, self.dice.below(4) as i64);
            self.next_uid += 1;
            let field = *self.dice.pick(&["A", "a", "B"]);
            let value = match self.dice.below(12) {
                0 => None,
                1 => Some(format!("bad {uid}").into_bytes()),
                _ => Some(format!("{{\"u\":{uid},\"f\":\"{field}\"}}").into_bytes()),
            };
            let gap = if self.dice.one_in(10) { 1 + self.dice.below(3) as i64 } else { 0 };
            let log = self.log(&at);
            log.append(uid, hour, value);
            let entry = std::rc::Rc::clone(&log.entries[log.entries.len() - 1]);
            log.gap(gap);
            self.oracle.know_record(&at, &entry);
            if gap > 0 {
                self.note("gap", || at.to_string());
            }
        }
    }

    pub(crate) fn add_partition(&mut self) {
        let index = self.dice.below(self.topics.len() as u64) as usize;
        if self.topics[index].logs.len() < 4 {
            self.topics[index].logs.push(Default::default());
            // Without an offset of any other it cannot be told from one whose offset is lost.
            let partitions: Vec<_> = self.topics[index].partitions().collect();
            let (new, others) = partitions.split_last().expect("a Kafka partition");
            if others.iter().all(|at| self.tampered.contains(at)) {
                self.tampered.insert(new.clone());
            }
            let all = self.all();
            self.group.rebalance(&all);
            self.note("kafka partition added", String::new);
        }
    }

    /// Retention or compaction takes records, landed or not.
    pub(crate) fn delete_records(&mut self) {
        let all = self.all();
        let at = self.dice.pick(&all).clone();
        let committed = self.group.offsets.get(&at).and_then(|it| it.offset).map_or(0, |it| it.0);
        let reach = self.dice.below(12) as i64;
        let (what, gone) = if self.dice.one_in(2) {
            let log = self.log(&at);
            let start = (committed + reach - 6).clamp(log.start, log.end);
            ("retention", log.truncate(start))
        } else {
            let log = self.log(&at);
            let from = log.entries.partition_point(|entry| entry.offset < committed - 4);
            // The last record of a log is never compacted away.
            let until = log.entries.len().saturating_sub(1).min(from + reach as usize);
            let mut gone = Vec::new();
            for index in (from..until).rev().step_by(2) {
                gone.push(log.entries.remove(index));
            }
            ("compaction", gone)
        };
        if !gone.is_empty() {
            self.oracle.deleted(&gone);
            self.note(what, || format!("{at} {} records", gone.len()));
        }
    }

    /// A new leader does not know yet how far its log may be read.
    pub(crate) fn shorten_log(&mut self) {
        let all = self.all();
        let at = self.dice.pick(&all).clone();
        let (by, until) = (1 + self.dice.below(12) as i64, self.now + self.dice.below(20_000));
        let log = self.log(&at);
        log.short = Some((log.end - by, until));
        self.note("log short for a while", || format!("{at} by {by} until {until}"));
    }

    pub(crate) fn broker_away(&mut self) {
        self.broker_away_until = self.now + 1_000 + self.dice.below(60_000);
        let until = self.broker_away_until;
        self.note("broker away", || format!("until {until}"));
    }

    pub(crate) fn is_broker_away(&mut self) -> bool {
        if self.broker_away_until == 0 {
            return false;
        }
        let away = self.now < self.broker_away_until;
        if !away {
            self.broker_away_until = 0;
            self.group.forgive(self.now);
        }
        away
    }

    pub(crate) fn roll_back(&mut self) {
        let all = self.all();
        let at = self.dice.pick(&all).clone();
        let count = 1 + self.dice.below(4) as usize;
        if self.group.roll_back(&at, count) {
            self.note("offsets roll back", || format!("{at} by {count}"));
        }
    }

    pub(crate) fn memory(&mut self) {
        let Some(index) = self.some_process() else { return };
        let short = self.dice.one_in(2);
        let process = &mut self.processes[index];
        for lane in 0..process.lanes.len() {
            process.lanes[lane].ports.0.borrow_mut().now = self.now;
            process.lanes[lane].driver.set_memory_short(short);
            process.post(lane, LaneInput::FlushLargest);
        }
        self.note(if short { "memory short" } else { "memory relaxed" }, String::new);
    }

    /// An operator wants what is held to land.
    fn flush(&mut self) {
        let Some(index) = self.some_process() else { return };
        let process = &self.processes[index];
        (0..process.lanes.len()).for_each(|lane| process.post(lane, LaneInput::Flush(None)));
        let name = process.name;
        self.note("flush wanted", || format!("process {name}"));
    }

    /// A lane has too much to do.
    fn move_to_another_lane(&mut self) {
        let Some(index) = self.some_process() else { return };
        let owned: Vec<_> = self.processes[index].owned.keys().cloned().collect();
        if owned.is_empty() {
            return;
        }
        let at = self.dice.pick(&owned).clone();
        if self.processes[index].give(&at) {
            let name = self.processes[index].name;
            self.note("to another lane", || format!("process {name} {at}"));
        }
    }

    /// SIGHUP, with other limits; and another layout for the Kafka partitions to come.
    fn change_limits(&mut self) {
        let Some(index) = self.some_process() else { return };
        let policies = Arc::new(self.policies());
        let process = &self.processes[index];
        for lane in 0..process.lanes.len() {
            process.post(lane, LaneInput::Policies(Arc::clone(&policies)));
        }
        let name = process.name;
        self.note("other limits", || format!("process {name}"));
    }

    /// Nothing else may be going on: to the next thing that is due.
    pub(crate) fn jump(&mut self) {
        let due = self.processes.iter().filter_map(Process::deadline).min();
        if let Some(due) = due {
            self.now = self.now.max(due);
        }
        if self.dice.one_in(2) {
            self.now += self.dice.below(20_000);
        }
        self.note("time jumps", String::new);
    }
}
