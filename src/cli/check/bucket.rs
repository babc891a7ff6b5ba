//! The store: bucket, put, conditional put, HEAD, LIST, delete, clock.

use std::sync::Arc;

use jiff::SignedDuration;

use super::report::{Report, Verdict};
use super::{EmptyPrefixes, Topic, words};
use crate::config::Settings;
use crate::daemon::{any_landed, probe_key};
use crate::pipeline::topic_prefix;
use crate::record::{Layout, ObjectAddress, StoreError, StoreErrorClass};
use crate::s3::{ConditionalPut, Store};

/// A clock that is further off deserves a look; S3 refuses one that is 15 minutes off.
const SKEW_WARN: SignedDuration = SignedDuration::from_secs(30);
const SKEW_FAIL: SignedDuration = SignedDuration::from_mins(5);

/// All that comes after the first look.
const REST: [&str; 6] = ["put", "conditional put", "HEAD", "LIST", "delete", "clock"];

/// Tries everything that a run asks of the store; the store, if its settings make one, and which
/// topics' prefixes are empty come back.
pub(super) async fn check(
    settings: &Settings,
    topics: &[Topic],
    report: &mut Report,
) -> (Option<Store>, EmptyPrefixes) {
    match Store::connect(&settings.s3).await {
        Ok(store) => {
            let empty = Trial { store: &store, settings, topics, report }.run().await;
            (Some(store), empty)
        }
        Err(error) => {
            report.mend("bucket", error);
            skip(report, &REST, "the settings of the store");
            (None, EmptyPrefixes::new())
        }
    }
}

struct Trial<'a> {
    store: &'a Store,
    settings: &'a Settings,
    topics: &'a [Topic],
    report: &'a mut Report,
}

impl Trial<'_> {
    async fn run(mut self) -> EmptyPrefixes {
        let seen = self.store.head_bucket(&self.settings.s3.bucket).await;
        if let Err(error) = &seen
            && fault(error) == Verdict::Unreachable
        {
            self.failed("bucket", error);
            skip(self.report, &REST, "the store");
            return EmptyPrefixes::new();
        }
        let there = seen.is_ok();
        let put = self.bucket_and_put(seen).await;
        let mut empty = EmptyPrefixes::new();
        if there || put {
            self.head().await;
            empty = self.list().await;
            self.delete().await;
        } else {
            skip(self.report, &["HEAD", "LIST", "delete"], "the bucket");
        }
        self.clock().await;
        empty
    }

    /// HEAD of the bucket tells little by itself: a right to LIST that is limited to a prefix
    /// does not cover it. So the put decides.
    async fn bucket_and_put(&mut self, seen: Result<(), StoreError>) -> bool {
        let address = self.probe();
        let probe = self.store.probe_conditional_put(&address.bucket, &address.key).await;
        match (seen, &probe) {
            (Ok(()), _) => self.report.ok("bucket", self.place()),
            (Err(error), Ok(_)) => {
                let fine = "it can be written to all the same, so this is fine where s3:ListBucket \
                            is allowed below a prefix alone";
                self.report.warn("bucket", format!("{}. But {fine}", said(&error)));
            }
            (Err(error), Err(_)) => self.failed("bucket", &error),
        }
        match probe {
            Ok(found) => {
                self.report.ok("put", format!("{address} can be put"));
                self.conditional(&found);
                true
            }
            Err(error) => {
                self.failed("put", &error);
                skip(self.report, &["conditional put"], "a put");
                false
            }
        }
    }

    fn conditional(&mut self, found: &ConditionalPut) {
        let fence = "so the group's fence alone keeps two members from writing the same records; \
                     the promise holds, with one safeguard less";
        match found {
            ConditionalPut::Honoured => self.report.ok(
                "conditional put",
                "If-None-Match is honoured: of eight puts at once at most one got the name",
            ),
            ConditionalPut::HonouredByPutOnly(seen) => self.report.warn(
                "conditional put",
                format!(
                    "If-None-Match is honoured for whole objects, but not when a multipart upload \
                     is completed ({seen}); so each object goes up in one request"
                ),
            ),
            ConditionalPut::Ignored(seen) => self.report.warn(
                "conditional put",
                format!("the store does not honour If-None-Match ({seen}), {fence}"),
            ),
            ConditionalPut::NotSupported(seen) => self.report.warn(
                "conditional put",
                format!("the store refuses If-None-Match, {fence}. It said: {seen}"),
            ),
        }
    }

    /// Objects of an interrupted run are looked at before anything is put, and names that are
    /// taken are judged by HEAD: without it a Kafka partition would stop.
    async fn head(&mut self) {
        let layout = self.layout();
        let below = match self.topics.first() {
            Some(topic) => topic_prefix(&topic.policy.layout, &topic.name),
            None => topic_prefix(layout, "kafka-s3-sink"),
        };
        let there = ObjectAddress {
            bucket: layout.bucket.clone(),
            key: format!("{below}.kafka-s3-sink-probe").into(),
        };
        for address in [self.probe(), there] {
            if let Err(error) = self.store.head(&address).await {
                return self.failed("HEAD", &error);
            }
        }
        let roots = format!("{}/ and {below}", layout.dead_letter_prefix);
        self.report.ok("HEAD", format!("allowed below {roots}"));
    }

    /// A LIST of one key in each root tells a first start from offsets that were lost.
    async fn list(&mut self) -> EmptyPrefixes {
        let mut empty = EmptyPrefixes::new();
        let nobodys = [("kafka-s3-sink", self.layout())];
        let topics = self.topics.iter().map(|topic| (topic.name.as_str(), &topic.policy.layout));
        let mut asked: Vec<_> = topics.collect();
        if asked.is_empty() {
            asked.extend(nobodys);
        }
        for (topic, layout) in asked {
            match any_landed(self.store, layout, topic).await {
                Ok(any) => empty.insert(topic.to_owned(), !any),
                Err(error) => {
                    self.failed("LIST", &error);
                    return empty;
                }
            };
        }
        let found = match empty.values().filter(|empty| !**empty).count() {
            0 => "allowed; nothing has landed yet".to_owned(),
            filled => format!("allowed; {filled} of {} topics have objects", empty.len()),
        };
        self.report.ok("LIST", found);
        empty
    }

    /// A name that nobody uses is deleted: the probe's own object may belong to another probe
    /// that is under way. Deleting what is not there is allowed or denied all the same.
    async fn delete(&mut self) {
        let probe = self.probe();
        let nobodys =
            ObjectAddress { key: format!("{}-delete", probe.key).into(), ..probe.clone() };
        match self.store.delete(&nobodys).await {
            Ok(()) => self.report.ok("delete", "allowed: the probe takes its object away again"),
            Err(error) if fault(&error) == Verdict::Mend => self.report.ok(
                "delete",
                format!(
                    "not allowed, and not needed: the one object of the probe stays, {probe} \
                     (outside every table, and no second one will come)"
                ),
            ),
            Err(error) => self.failed("delete", &error),
        }
    }

    async fn clock(&mut self) {
        match self.store.clock_skew(&self.settings.s3.bucket).await {
            Ok(skew) => {
                let (verdict, text) = judge_skew(skew);
                self.report.say(verdict, "clock", text);
            }
            Err(error) => self.failed("clock", &error),
        }
    }

    fn layout(&self) -> &Arc<Layout> {
        &self.settings.topics.default.layout
    }

    fn probe(&self) -> ObjectAddress {
        let layout = self.layout();
        let key = probe_key(&layout.dead_letter_prefix).into();
        ObjectAddress { bucket: layout.bucket.clone(), key }
    }

    fn place(&self) -> String {
        let s3 = &self.settings.s3;
        let at = s3.endpoint.as_deref().map(|at| format!(" at {at}")).unwrap_or_default();
        format!("s3://{}{at} is there", s3.bucket)
    }

    fn failed(&mut self, what: &str, error: &StoreError) {
        self.report.say(fault(error), what, said(error));
    }
}

fn skip(report: &mut Report, what: &[&str], needs: &str) {
    what.iter().for_each(|what| report.skip(what, format!("not tried: it needs {needs}")));
}

/// Whether a person must mend it, or a server may just be away.
pub(super) fn fault(error: &StoreError) -> Verdict {
    match error.class {
        StoreErrorClass::Configuration | StoreErrorClass::Full => Verdict::Mend,
        // To a run they may come any moment; here they are missing.
        StoreErrorClass::Retry if error.message.contains("no credentials") => Verdict::Mend,
        StoreErrorClass::Retry | StoreErrorClass::Conflict | StoreErrorClass::Unreadable => {
            Verdict::Unreachable
        }
    }
}

/// The message without what only a run does.
pub(super) fn said(error: &StoreError) -> String {
    ["it is tried again with fresh credentials", "it is tried again"]
        .iter()
        .fold(error.message.clone(), |text, words| text.replace(words, ""))
        .replace("; ; ", "; ")
        .trim_end_matches([';', ' '])
        .to_owned()
}

fn judge_skew(skew: SignedDuration) -> (Verdict, String) {
    let off = words::duration(skew.unsigned_abs());
    let side = if skew.is_negative() { "behind" } else { "ahead of" };
    let mend = "let NTP set it (chrony; on EC2 the source 169.254.169.123)";
    match skew.abs() {
        far if far > SKEW_FAIL => (
            Verdict::Mend,
            format!(
                "this machine's clock is {off} {side} the store's, which will refuse signatures \
                 that are 15 minutes off: {mend}"
            ),
        ),
        near if near > SKEW_WARN => {
            (Verdict::Warn, format!("this machine's clock is {off} {side} the store's: {mend}"))
        }
        _ => {
            (Verdict::Ok, "this machine's clock and the store's agree to half a minute".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(class: StoreErrorClass, message: &str) -> StoreError {
        StoreError { class, message: message.to_owned() }
    }

    #[test]
    fn only_a_store_that_is_away_is_unreachable() {
        use StoreErrorClass::{Configuration, Full, Retry};
        assert_eq!(fault(&error(Retry, "no answer: refused")), Verdict::Unreachable);
        assert_eq!(fault(&error(Retry, "PutObject: no credentials: none")), Verdict::Mend);
        assert_eq!(fault(&error(Configuration, "")), Verdict::Mend);
        assert_eq!(fault(&error(Full, "")), Verdict::Mend);
    }

    #[test]
    fn nothing_is_promised_that_a_check_does_not_do() {
        for (text, wanted) in [
            ("a: b; it is tried again", "a: b"),
            ("a; it is tried again; check s3.endpoint", "a; check s3.endpoint"),
            ("a; it is tried again with fresh credentials; if", "a; if"),
            ("a; set s3.bucket", "a; set s3.bucket"),
        ] {
            assert_eq!(said(&error(StoreErrorClass::Retry, text)), wanted);
        }
    }

    #[test]
    fn clocks_are_judged_both_ways() {
        let judged = |seconds| judge_skew(SignedDuration::from_secs(seconds));
        assert_eq!(judged(30).0, Verdict::Ok);
        assert_eq!(judged(-31).0, Verdict::Warn);
        let (verdict, text) = judged(-3600);
        assert_eq!(verdict, Verdict::Mend);
        assert!(text.contains("1h behind the store's") && text.contains("chrony"), "{text}");
    }
}
