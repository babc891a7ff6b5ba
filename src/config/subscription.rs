//! Which topics `kafka.topics` means.

use crate::record::is_internal;

/// Whether a topic is subscribed: by name, or by an expression that begins with `^`, which never
/// means Kafka's own topics.
pub(crate) fn matcher(topics: &[String]) -> impl Fn(&str) -> bool + use<> {
    let (patterns, names): (Vec<_>, Vec<_>) =
        topics.iter().cloned().partition(|topic| topic.starts_with('^'));
    // The configuration refused what is no expression.
    let patterns: Vec<_> = patterns.iter().filter_map(|p| regex::Regex::new(p).ok()).collect();
    move |topic| {
        names.iter().any(|name| name == topic)
            || (!is_internal(topic) && patterns.iter().any(|p| p.is_match(topic)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_whole_and_expressions_as_they_say() {
        let matches = matcher(&["orders".into(), "^clicks\\..*".into()]);
        assert!(matches("orders") && matches("clicks.web"));
        assert!(!matches("orders2") && !matches("my.clicks.web"));
        let all = matcher(&["^.*".into()]);
        assert!(all("orders") && all("__mine") && !all("__consumer_offsets"));
    }
}
