//! The text of `/metrics`, shared by those who ask at nearly the same time: however many scrape and
//! however often, writing it takes a tenth of one core at most.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Mutex;

use crate::telemetry::{Metrics, Status, clock};

/// A text is given out again for so many times the time that it took to write.
const REUSE: u32 = 10;

/// The last text, if there was one. Who comes while it is being written waits for it.
#[derive(Default)]
pub(super) struct Scrape(Mutex<Option<Written>>);

struct Written {
    text: Bytes,
    good_until: Instant,
}

impl Scrape {
    /// The metrics as of now, or as of a moment ago.
    pub(super) async fn text(&self, metrics: &Metrics, status: &Status) -> Bytes {
        let render = || Bytes::from(metrics.render(status));
        self.text_of(render, clock::monotonic).await
    }

    async fn text_of(&self, render: impl FnOnce() -> Bytes, now: impl Fn() -> Instant) -> Bytes {
        let mut last = self.0.lock().await;
        let began = now();
        if let Some(written) = last.as_ref().filter(|written| began < written.good_until) {
            return written.text.clone();
        }
        let text = render();
        let done = now();
        let took: Duration = done.saturating_duration_since(began);
        *last = Some(Written { text: text.clone(), good_until: done + took * REUSE });
        text
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// One that takes 5 ms to write, asked at these milliseconds; which texts it gives.
    async fn texts(asked_at: &[u64]) -> Vec<Bytes> {
        let (scrape, start, renders) = (Scrape::default(), clock::monotonic(), Cell::new(0));
        let mut texts = Vec::new();
        for at in asked_at {
            let clock = Cell::new(start + Duration::from_millis(*at));
            let render = || {
                renders.set(renders.get() + 1);
                clock.set(clock.get() + Duration::from_millis(5));
                Bytes::from(renders.get().to_string())
            };
            texts.push(scrape.text_of(render, || clock.get()).await);
        }
        texts
    }

    #[tokio::test]
    async fn a_text_is_written_anew_when_it_is_ten_times_as_old_as_its_writing_took() {
        assert_eq!(texts(&[0, 5, 54, 55, 60, 109]).await, ["1", "1", "1", "2", "2", "2"]);
        assert_eq!(texts(&[0, 1000, 2000]).await, ["1", "2", "3"]);
    }
}
