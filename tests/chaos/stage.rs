//! What all who act in one scenario share: the servers, the time, the diary, and the counts.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::depot::Depot;
use crate::diary::Diary;
use crate::dice::Dice;
use crate::faults::{Counts, Deck, Fault};

/// See the module.
pub(crate) struct Stage<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) depot: &'a Depot,
    pub(crate) diary: &'a Diary,
    pub(crate) counts: Counts,
    /// What sinks did, in words.
    deeds: Mutex<BTreeMap<String, u64>>,
    seed: u64,
    window: Duration,
    started: Instant,
    /// Decks that did not go round yet.
    undealt: AtomicUsize,
    quiet: AtomicBool,
    broken: Mutex<Option<String>>,
}

/// A deck that did not go round by then never will.
const LONGEST: u32 = 4;
/// Windows from here on leave sinks time to land something between two faults.
const UNHURRIED: Duration = Duration::from_secs(30);

impl<'a> Stage<'a> {
    pub(crate) fn new(
        cluster: &'a Cluster,
        depot: &'a Depot,
        diary: &'a Diary,
        seed: u64,
        window: Duration,
    ) -> Self {
        Self {
            cluster,
            depot,
            diary,
            counts: Counts::default(),
            deeds: Mutex::default(),
            seed,
            window,
            started: Instant::now(),
            undealt: AtomicUsize::new(0),
            quiet: AtomicBool::new(false),
            broken: Mutex::new(None),
        }
    }

    /// The choices of one who acts, the same for the same seed.
    pub(crate) fn dice(&self, who: &str) -> Dice {
        let name = who.bytes().fold(7_u64, |hash, byte| hash.wrapping_mul(31) + u64::from(byte));
        Dice::new(self.seed ^ name.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Notes what happens.
    pub(crate) fn tell(&self, what: &str) {
        self.diary.tell(self.started.elapsed(), what);
    }

    /// Notes a fault, and counts it.
    pub(crate) fn strike(&self, fault: Fault, what: &str) {
        self.counts.saw(fault, 1);
        self.tell(&format!("{}: {what}", fault.name()));
    }

    /// Counts what sinks did.
    pub(crate) fn did(&self, what: &str, times: usize) {
        if times > 0 {
            *self.deeds.lock().expect("deeds").entry(what.to_owned()).or_default() += times as u64;
        }
    }

    /// What sinks did.
    pub(crate) fn deeds(&self) -> BTreeMap<String, u64> {
        self.deeds.lock().expect("deeds").clone()
    }

    /// Something is wrong, and nothing else matters.
    pub(crate) fn break_off(&self, why: String) {
        self.tell(&format!("WRONG: {why}"));
        self.broken.lock().expect("verdict").get_or_insert(why);
    }

    /// What went wrong first.
    pub(crate) fn broken(&self) -> Option<String> {
        self.broken.lock().expect("verdict").clone()
    }

    /// Whether faults are to cease: the time is over and every deck went round.
    pub(crate) fn is_over(&self) -> bool {
        let elapsed = self.started.elapsed();
        let dealt = self.undealt.load(Ordering::Relaxed) == 0;
        let over = elapsed >= self.window && (dealt || elapsed >= self.window * LONGEST);
        over || self.quiet.load(Ordering::Relaxed) || self.broken().is_some()
    }

    /// Waits, but not beyond the end of a scenario that is broken.
    pub(crate) fn sleep(&self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until && self.broken().is_none() {
            let rest = until.saturating_duration_since(Instant::now());
            std::thread::sleep(rest.min(Duration::from_millis(50)));
        }
    }

    /// Deals faults from a deck to `actor` with pauses between them, until it is over.
    pub(crate) fn act(
        &self,
        who: &str,
        kinds: &[Fault],
        pause_ms: std::ops::Range<u64>,
        actor: &mut impl Actor,
    ) {
        let (mut dice, mut deck) = (self.dice(who), Deck::of(kinds));
        let mut round = false;
        self.undealt.fetch_add(1, Ordering::Relaxed);
        loop {
            // A short version has to go round soon.
            let pace = if self.window < UNHURRIED { 2 } else { 1 };
            let until = Instant::now() + between(&mut dice, pause_ms.start, pause_ms.end) / pace;
            while Instant::now() < until && !self.is_over() {
                actor.idle();
                self.sleep(Duration::from_millis(100));
            }
            if self.is_over() {
                return;
            }
            actor.strike(deck.deal(&mut dice), &mut dice);
            if deck.went_round() && !std::mem::replace(&mut round, true) {
                self.undealt.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

/// Who does something to a part of the scenario.
pub(crate) trait Actor {
    /// Makes a fault happen, and undoes it where it does not undo itself.
    fn strike(&mut self, fault: Fault, dice: &mut Dice);

    /// Looks after its part between faults.
    fn idle(&mut self) {}
}

/// A time between two numbers of milliseconds.
pub(crate) fn between(dice: &mut Dice, from_ms: u64, to_ms: u64) -> Duration {
    Duration::from_millis(from_ms + dice.below(to_ms - from_ms))
}
