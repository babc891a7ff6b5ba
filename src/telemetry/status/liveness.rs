//! Heartbeats: a thread that hangs or dies without a word is noticed; brokers and stores that
//! are away are not its business.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::lock;
use crate::telemetry::clock;

/// A beat older than this means that its thread hangs. Longer than any deadline a thread
/// waits for, shorter than people's patience.
pub(in crate::telemetry) const BEAT_WITHIN: Duration = Duration::from_secs(60);

/// Stands in a beat whose thread has ended in good order.
const FINISHED: u64 = u64::MAX;

/// All beats of the process.
#[derive(Debug)]
pub(super) struct Heart {
    origin: Instant,
    beats: Mutex<Vec<Registered>>,
}

#[derive(Debug)]
struct Registered {
    name: String,
    last: Arc<AtomicU64>,
}

/// A thread's promise to beat. A thread that ends without [`Beat::finish`], by a panic or by an
/// early return, stops beating, and after a minute `/livez` fails: that is meant.
#[derive(Debug)]
#[must_use = "a beat that nobody beats fails /livez after a minute"]
pub struct Beat {
    origin: Instant,
    last: Arc<AtomicU64>,
}

/// A beat and how long ago it was last heard.
pub(super) struct Heard {
    pub(super) name: String,
    pub(super) age: Duration,
}

impl Heart {
    pub(super) fn new(origin: Instant) -> Self {
        Self { origin, beats: Mutex::default() }
    }

    pub(super) fn beat(&self, name: String, now: Instant) -> Beat {
        let last = Arc::new(AtomicU64::new(millis(self.origin, now)));
        lock(&self.beats).push(Registered { name, last: Arc::clone(&last) });
        Beat { origin: self.origin, last }
    }

    /// All beats that are not finished, with their ages.
    pub(super) fn heard(&self, now: Instant) -> Vec<Heard> {
        let now = millis(self.origin, now);
        let mut beats = lock(&self.beats);
        beats.retain(|beat| beat.last.load(Ordering::Relaxed) != FINISHED);
        let age = |beat: &Registered| {
            // A beat after `now` was taken, or its end, is fresh.
            Duration::from_millis(now.saturating_sub(beat.last.load(Ordering::Relaxed)))
        };
        beats.iter().map(|beat| Heard { name: beat.name.clone(), age: age(beat) }).collect()
    }

    /// The beats that are too old.
    pub(super) fn stale(&self, now: Instant) -> Vec<Heard> {
        let mut heard = self.heard(now);
        heard.retain(|beat| beat.age > BEAT_WITHIN);
        heard
    }
}

impl Beat {
    /// Says that the thread is alive. Costs a look at the clock; once a loop is right.
    pub fn beat(&self) {
        self.beat_at(clock::monotonic());
    }

    pub(in crate::telemetry) fn beat_at(&self, now: Instant) {
        self.last.store(millis(self.origin, now), Ordering::Relaxed);
    }

    /// Says that the thread ends in good order.
    pub fn finish(self) {
        self.last.store(FINISHED, Ordering::Relaxed);
    }
}

fn millis(origin: Instant, now: Instant) -> u64 {
    now.saturating_duration_since(origin).as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(beats: &[Heard]) -> Vec<&str> {
        beats.iter().map(|beat| beat.name.as_str()).collect()
    }

    #[test]
    fn only_a_beat_that_is_too_old_is_stale() {
        let start = clock::monotonic();
        let heart = Heart::new(start);
        let lane = heart.beat("lane-0".into(), start);
        let group = heart.beat("group".into(), start);
        assert!(heart.stale(start + BEAT_WITHIN).is_empty());
        group.beat_at(start + Duration::from_secs(30));
        let later = start + BEAT_WITHIN + Duration::from_millis(1);
        let stale = heart.stale(later);
        assert_eq!(names(&stale), ["lane-0"]);
        assert_eq!(stale[0].age, BEAT_WITHIN + Duration::from_millis(1));
        lane.beat_at(later);
        assert!(heart.stale(later).is_empty());
    }

    #[test]
    fn a_thread_that_says_good_bye_is_forgotten() {
        let start = clock::monotonic();
        let heart = Heart::new(start);
        heart.beat("lane-0".into(), start).finish();
        assert!(heart.heard(start).is_empty());
        assert!(heart.stale(start + BEAT_WITHIN * 2).is_empty());
    }

    #[test]
    fn a_thread_that_dies_is_missed() {
        let start = clock::monotonic();
        let heart = Heart::new(start);
        let lane = heart.beat("lane-0".into(), start);
        std::thread::spawn(move || {
            lane.beat();
            // Unwinding drops the beat, as a panic in a lane would, without the noise of one.
            std::panic::resume_unwind(Box::new("out of ideas"));
        })
        .join()
        .unwrap_err();
        let stale = heart.stale(clock::monotonic() + BEAT_WITHIN * 2);
        assert_eq!(names(&stale), ["lane-0"]);
    }

    #[test]
    fn a_beat_after_the_look_at_the_clock_is_fresh() {
        let start = clock::monotonic();
        let heart = Heart::new(start);
        let lane = heart.beat("lane-0".into(), start + Duration::from_secs(5));
        assert_eq!(heart.heard(start)[0].age, Duration::ZERO);
        lane.finish();
    }
}
