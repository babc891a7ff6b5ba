//! The configuration alone: all errors, all warnings, and how large a pin can become.

use std::sync::Arc;

use super::super::ConfigArgs;
use super::report::Report;
use super::words;
use crate::config::Settings;
use crate::daemon::check_spool;
use crate::pipeline::{Mark, Pin, encode_metadata, layout_hash};
use crate::record::{Layout, Offset};
use crate::telemetry::http;

const WHAT: &str = "configuration";
/// What a broker takes as the metadata of an offset (`offset.metadata.max.bytes`) by default.
const PIN_MAX: usize = 4096;

/// The settings, if they are sound.
pub(super) fn check(args: &ConfigArgs, report: &mut Report) -> Option<Settings> {
    let settings = match args.load() {
        Ok(settings) => settings,
        Err(errors) => {
            errors.errors().iter().for_each(|error| report.mend(WHAT, error));
            return None;
        }
    };
    let largest = largest_pin(&settings);
    let from =
        args.config.as_ref().map_or("environment".to_owned(), |path| path.display().to_string());
    let size = words::count(largest as u64);
    if largest > PIN_MAX {
        let text = format!(
            "{from}: a pin can take {size} bytes, and brokers take {PIN_MAX} \
             (offset.metadata.max.bytes): shorten layout.prefix, layout.dead_letter_prefix or the \
             fields in layout.partition_by"
        );
        report.mend(WHAT, text);
    } else {
        report.ok(
            WHAT,
            format!("{from}; a pin takes at most {size} of {} bytes", words::count(PIN_MAX as u64)),
        );
    }
    if let Err(error) = http::check_token(&settings.http) {
        report.mend(WHAT, error);
    }
    if let Some(error) = settings.memory.spool_dir.as_deref().and_then(|dir| check_spool(dir).err())
    {
        report.mend(WHAT, error);
    }
    settings.warnings().iter().for_each(|warning| report.warn(WHAT, warning));
    Some(settings)
}

fn largest_pin(settings: &Settings) -> usize {
    let policies =
        std::iter::once(&settings.topics.default).chain(settings.topics.by_topic.values());
    policies.map(|policy| pin_size(&policy.layout)).max().unwrap_or(0)
}

/// The metadata of a commit with the longest numbers and ids that can be.
fn pin_size(layout: &Arc<Layout>) -> usize {
    let longest = |len| Arc::<str>::from("x".repeat(len));
    let mark = Mark {
        offset: Offset(i64::MAX - 1),
        topic_id: longest(22),
        cluster_id: longest(22),
        leader_epoch: Some(i32::MAX),
        layout_hash: layout_hash(layout).into(),
        first_start: Some(i32::MAX),
    };
    let pin = Pin {
        // The session's 16 digits, the lane, the number of the batch.
        id: longest(16 + 4 + 20),
        end: Offset(i64::MAX),
        first: Offset(i64::MAX - 1),
        last: Some((Offset(i64::MAX - 1), i32::MAX)),
        layout: Arc::clone(layout),
    };
    encode_metadata(&mark, Some(&pin)).len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn settings(prefix: &str) -> Settings {
        let text = format!(
            "[kafka]\nbootstrap_servers = \"b:1\"\ntopics = [\"t\"]\ngroup_id = \"g\"\n\
             [s3]\nbucket = \"lake\"\n[topic.\"t\".layout]\nprefix = \"{prefix}\"\n"
        );
        config::load_str("test", &text, std::iter::empty()).expect("sound settings")
    }

    #[test]
    fn the_largest_pin_is_that_of_the_longest_layout() {
        let (short, long) =
            (largest_pin(&settings("raw")), largest_pin(&settings(&"r".repeat(103))));
        assert_eq!(long - short, 100);
        assert!((300..PIN_MAX).contains(&short), "{short}");
    }
}
