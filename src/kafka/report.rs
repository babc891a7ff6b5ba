//! What the group's main queue tells beside rebalances: logs, errors, whether brokers are there.

use std::collections::HashMap;
use std::ptr;
use std::time::{Duration, Instant};

use rdkafka::bindings as c;
use rdkafka::types::RDKafkaRespErr as Code;

use super::GroupListener;
use super::generation::generation;
use super::native::{self, Client, Event, millis};

/// At most this many lines of one kind in one span; librdkafka repeats itself fast.
const LINES: u32 = 5;
const SPAN: Duration = Duration::from_secs(30);
/// How often lost brokers are looked for, and how long one look may take.
const LOOK_EVERY: Duration = Duration::from_secs(2);
const LOOK_TIMEOUT: Duration = Duration::from_millis(500);

/// OAUTHBEARER was asked for, and nothing makes tokens.
pub(super) const NO_TOKENS: &str = "sasl.mechanism=OAUTHBEARER: the tokens that are built in are Amazon MSK's \
     (kafka.msk_iam_region)";

/// Carries librdkafka's words to the log and to the listener.
#[derive(Default)]
pub(super) struct Report {
    spans: HashMap<String, (Option<Instant>, u32)>,
    down: bool,
    reached: bool,
    answered: bool,
    looked: Option<Instant>,
}

impl Report {
    /// Anything but a rebalance.
    pub(super) fn event(&mut self, event: &Event, listener: &dyn GroupListener) {
        match event.kind() {
            c::RD_KAFKA_EVENT_LOG => self.log(event),
            c::RD_KAFKA_EVENT_ERROR => self.error(event, listener),
            c::RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH => {
                listener.group_error(NO_TOKENS);
            }
            _ => {}
        }
    }

    /// The group gave an answer, if only an empty one.
    pub(super) fn answered(&mut self, listener: &dyn GroupListener) {
        let first = !std::mem::replace(&mut self.answered, true) && !self.reached;
        listener.group_answered();
        // Its coordinator is a broker.
        if std::mem::take(&mut self.down) || first {
            listener.broker_state(true, "the group has answered");
        }
    }

    /// From time to time: is there an answer without an assignment (KIP-848 sends no event for
    /// an empty one), are the brokers back?
    pub(super) fn tick(&mut self, client: &Client, listener: &dyn GroupListener) {
        if self.answered && !self.down {
            return;
        }
        let now = Instant::now();
        if self.looked.is_some_and(|at| now.duration_since(at) < LOOK_EVERY) {
            return;
        }
        self.looked = Some(now);
        if !self.answered && generation(client) > 0 {
            self.answered(listener);
        }
        // The group may keep silent for long, or for ever: a topic that is not there.
        let unknown = !self.answered && !self.reached;
        if (self.down || unknown) && brokers_answer(client) {
            let back = std::mem::take(&mut self.down);
            self.reached = true;
            listener.broker_state(true, if back { "brokers answer again" } else { "they answer" });
        }
    }

    fn error(&mut self, event: &Event, listener: &dyn GroupListener) {
        let code = event.error();
        let text = format!("{}: {}", native::describe(code as i32), event.error_text());
        // SAFETY: the event is alive.
        let fatal = unsafe { c::rd_kafka_event_error_is_fatal(event.ptr()) != 0 };
        if fatal || code == Code::RD_KAFKA_RESP_ERR__FATAL {
            listener.fatal(text + hint(code));
        } else if code == Code::RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN {
            if !std::mem::replace(&mut self.down, true) {
                listener.broker_state(false, &text);
            }
        } else if transport(code) {
            if self.allow(&format!("{code:?}")) {
                tracing::warn!(error = text, "Kafka connection");
            }
        } else {
            listener.group_error(&(text + hint(code)));
        }
    }

    fn log(&mut self, event: &Event) {
        let Some((fac, text, level)) = event.log_line() else { return };
        if !self.allow(&fac) {
            return;
        }
        match level {
            0..=3 => tracing::error!(target: "librdkafka", fac, "{text}"),
            4 => tracing::warn!(target: "librdkafka", fac, "{text}"),
            5 | 6 => tracing::info!(target: "librdkafka", fac, "{text}"),
            _ => tracing::debug!(target: "librdkafka", fac, "{text}"),
        }
    }

    /// Whether a line of this kind may still be written.
    fn allow(&mut self, kind: &str) -> bool {
        let now = Instant::now();
        let span = self.spans.entry(kind.to_owned()).or_default();
        if span.0.is_none_or(|since| now.duration_since(since) >= SPAN) {
            if span.1 > LINES {
                tracing::info!(kind, left_out = span.1 - LINES, "Kafka client repeats itself");
            }
            *span = (Some(now), 0);
        }
        span.1 += 1;
        span.1 <= LINES
    }
}

/// How to mend it, where that is known.
const fn hint(code: Code) -> &'static str {
    match code {
        Code::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID => {
            "; each instance needs a kafka.group_instance_id of its own, and another one has taken \
             this one's"
        }
        Code::RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION
        | Code::RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE => {
            "; kafka.group_protocol = \"consumer\" needs brokers of Kafka 4.0 or later that allow it \
             (group.coordinator.rebalance.protocols); else set it to \"classic\""
        }
        Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART | Code::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC => {
            "; create the topic, or take it out of kafka.topics"
        }
        _ => "",
    }
}

/// Errors of connections, which librdkafka mends by itself.
fn transport(code: Code) -> bool {
    matches!(
        code,
        Code::RD_KAFKA_RESP_ERR__TRANSPORT
            | Code::RD_KAFKA_RESP_ERR__RESOLVE
            | Code::RD_KAFKA_RESP_ERR__TIMED_OUT
            | Code::RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE
    )
}

fn brokers_answer(client: &Client) -> bool {
    let mut metadata = ptr::null();
    // SAFETY: the client is alive; the object is ours and freed.
    unsafe {
        let code = c::rd_kafka_metadata(
            client.ptr(),
            0,
            ptr::null_mut(),
            &mut metadata,
            millis(LOOK_TIMEOUT),
        );
        if native::check_code(code).is_err() {
            return false;
        }
        // One that has just started may know of none, itself included.
        let any = (*metadata).broker_cnt > 0;
        c::rd_kafka_metadata_destroy(metadata);
        any
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::record::{Epoch, TopicPartition};

    /// Notes what it hears of the brokers.
    #[derive(Default)]
    struct Ear(Mutex<Vec<bool>>);

    impl GroupListener for Ear {
        fn assigned(&self, _: &[(TopicPartition, Epoch)]) {}
        fn revoking(&self, _: &[(TopicPartition, Epoch)], _: bool) {}
        fn moved(&self, _: &TopicPartition, _: Epoch, _: usize) {}
        fn group_answered(&self) {}
        fn fatal(&self, _: String) {}
        fn group_error(&self, _: &str) {}
        fn broker_state(&self, up: bool, _: &str) {
            self.0.lock().unwrap().push(up);
        }
    }

    #[test]
    fn an_answer_of_the_group_says_once_that_brokers_are_there() {
        let (mut report, ear) = (Report::default(), Ear::default());
        report.answered(&ear);
        report.answered(&ear);
        assert_eq!(*ear.0.lock().unwrap(), [true]);
        report.down = true;
        report.answered(&ear);
        assert_eq!(*ear.0.lock().unwrap(), [true, true]);
        assert!(!report.down);
    }

    #[test]
    fn a_kind_of_line_is_limited_and_others_are_not() {
        let mut report = Report::default();
        let written = (0..20).filter(|_| report.allow("FAIL")).count();
        assert_eq!(written, LINES as usize);
        assert!(report.allow("CONNECT"));
    }
}
