//! A report for people: a table, and under it what is wrong.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use super::super::{terminal, words};
use super::report::{AuditReport, Mode, TopicReport};
use crate::pipeline::audit::{
    CoveredReport, Examples, Flaw, Gap, GapKind, GroupReport, Health, Incomplete, IncompleteReport,
    PartitionReport,
};
use crate::record::OffsetRange;

/// As many examples are shown of each finding.
const SHOWN: usize = 10;
/// Of more Kafka partitions only those that are not well have a row.
const MANY: usize = 200;

pub(super) fn print(report: &AuditReport) {
    // Whoever closed the pipe has read enough.
    let _ = io::stdout().write_all(text(report, terminal::wants_colour()).as_bytes());
}

/// Text that grows; writing to it does not fail.
struct Page {
    text: String,
    colour: bool,
}

fn text(report: &AuditReport, colour: bool) -> String {
    let mut page = Page { text: String::new(), colour };
    for topic in &report.topics {
        page.topic(topic);
    }
    if let Some(error) = &report.kafka_error {
        page.finding(Health::Note, &format!("Kafka was not asked: {error}"));
    }
    page.line(&sum(report));
    page.text
}

fn sum(report: &AuditReport) -> String {
    let partitions = report.topics.iter().flat_map(|topic| &topic.kafka_partitions);
    let (count, bad) = partitions.fold((0, 0), |(count, bad), partition| {
        (count + 1, bad + usize::from(partition.health == Health::Bad))
    });
    let topics = words::many(report.topics.len(), "topic");
    let all = words::many(count, "Kafka partition");
    match (report.mode, report.health, bad) {
        (Mode::Listing, ..) => {
            format!("{topics}: names alone were looked at, so nothing is known to be whole")
        }
        (_, Some(Health::Bad), 0) => {
            format!("{topics} with {all}: objects are not as they must be")
        }
        (_, Some(Health::Bad), bad) => {
            format!("{topics} with {all}: {bad} with something missing, doubled or damaged")
        }
        (_, Some(Health::Note), _) => {
            format!("{topics} with {all}: nothing is known to be missing; see the notes")
        }
        _ => format!("{topics} with {all}: all is there, once"),
    }
}

impl Page {
    fn line(&mut self, text: &str) {
        self.text.push_str(text.trim_end());
        self.text.push('\n');
    }

    fn verdict(&self, health: Health) -> String {
        let (word, colour) = match health {
            Health::Well => ("ok", 32),
            Health::Note => ("note", 33),
            Health::Bad => ("BAD", 31),
        };
        match self.colour {
            true => format!("\x1b[{colour}m{word:<6}\x1b[0m"),
            false => format!("{word:<6}"),
        }
    }

    fn finding(&mut self, health: Health, text: &str) {
        let line = format!("  {}{}", self.verdict(health), text.replace('\n', "\n        "));
        self.line(&line);
    }

    fn topic(&mut self, topic: &TopicReport) {
        let TopicReport { topic: name, bucket, table, dead_letters, .. } = topic;
        self.line(&format!(
            "{name}  s3://{bucket}/{table}  dead letters s3://{bucket}/{dead_letters}"
        ));
        self.names(topic);
        if !topic.kafka_partitions.is_empty() {
            self.table(&topic.kafka_partitions);
        }
        self.examples("not ours, and read as a part of the table", &topic.foreign);
        self.examples("not what its name says", &topic.contradictory);
        for (count, what) in [
            (topic.hidden, "other objects, which readers of the table do not see"),
            (topic.of_other_groups, "objects were written by another group"),
            (topic.of_other_layouts, "objects are of another layout than today's"),
            (topic.vanished, "objects were gone when they were looked at"),
        ] {
            if count > 0 {
                self.line(&format!("        {} {what}", words::count(count)));
            }
        }
        if topic.open_uploads.count > 0 {
            let count = words::many(topic.open_uploads.count as usize, "multipart upload");
            let keys: Vec<_> =
                topic.open_uploads.examples.iter().map(|it| it.key.as_str()).collect();
            let text = format!(
                "{count} begun and not completed, be it by a sink that runs or by one that was \
                 killed; a lifecycle rule AbortIncompleteMultipartUpload removes those of the \
                 second kind: {}",
                words::listed(&keys, 3)
            );
            self.finding(Health::Note, &text);
        }
        for note in &topic.notes {
            self.finding(Health::Note, note);
        }
        self.line("");
    }

    fn names(&mut self, topic: &TopicReport) {
        for names in &topic.names {
            let span = match (names.lowest_first, names.highest_first) {
                (Some(lowest), Some(highest)) => format!("first offsets {lowest} to {highest}"),
                _ => "nothing".to_owned(),
            };
            let objects = words::many(names.objects as usize, "object");
            let dead = match names.dead_letter_objects {
                0 => String::new(),
                count => format!(" and {} of dead letters", words::count(count)),
            };
            let size = words::size(names.stored_bytes as f64);
            let number = names.kafka_partition;
            self.line(&format!("  [{number}]  {objects}{dead}, {size}, {span}"));
        }
    }

    fn table(&mut self, partitions: &[PartitionReport]) {
        let shown: Vec<_> = partitions
            .iter()
            .filter(|it| partitions.len() <= MANY || it.health != Health::Well)
            .collect();
        let rows: Vec<_> = shown.iter().map(|it| row(it)).collect();
        let widths: Vec<usize> = (0..HEAD.len())
            .map(|column| {
                let cells = rows.iter().map(|row| row[column].chars().count());
                cells.chain([HEAD[column].len()]).max().unwrap_or(0)
            })
            .collect();
        let head = HEAD.map(str::to_owned);
        self.line(&format!("  {:<6}{}", "", joined(&head, &widths)));
        for (partition, row) in shown.iter().zip(&rows) {
            self.line(&format!("  {}{}", self.verdict(partition.health), joined(row, &widths)));
        }
        if shown.len() < partitions.len() {
            let more = words::many(partitions.len() - shown.len(), "Kafka partition");
            self.line(&format!("        {more} more, all well"));
        }
        for partition in shown {
            self.findings(partition);
        }
    }

    fn findings(&mut self, partition: &PartitionReport) {
        let at = format!("[{}]", partition.kafka_partition);
        for (kind, gaps) in by_kind(&partition.gaps) {
            let health = if kind == GapKind::Missing { Health::Bad } else { Health::Note };
            self.finding(health, &format!("{at} {}", gap_text(kind, &gaps)));
        }
        for it in partition.incomplete.iter().take(SHOWN) {
            let bad = matches!(it.kind, Incomplete::Missing | Incomplete::Shortened);
            let health = if bad { Health::Bad } else { Health::Note };
            self.finding(health, &format!("{at} {}", incomplete_text(it)));
        }
        if partition.incomplete.len() > SHOWN {
            let more = partition.incomplete.len() - SHOWN;
            self.line(&format!("        {at} {more} more batches that are not whole"));
        }
        self.examples(&format!("{at} stands twice"), &partition.doubled);
        if let Some(content) = &partition.content {
            self.examples(&format!("{at} damaged"), &content.flaws);
            if content.not_compared > 0 {
                self.line(&format!(
                    "        {at} {} batches were compared with Kafka's records; {} not, for Kafka \
                     has them no longer or their layout is not today's",
                    words::count(content.compared),
                    words::count(content.not_compared)
                ));
            }
        }
        for note in &partition.notes {
            self.finding(Health::Note, &format!("{at} {note}"));
        }
    }

    fn examples(&mut self, what: &str, flaws: &Examples<Flaw>) {
        for flaw in flaws.examples.iter().take(SHOWN) {
            self.finding(Health::Bad, &format!("{what}: {}: {}", flaw.key, flaw.reason));
        }
        let more = flaws.count.saturating_sub(flaws.examples.len().min(SHOWN) as u64);
        if more > 0 {
            self.finding(Health::Bad, &format!("{what}: {} more", words::count(more)));
        }
    }
}

const HEAD: [&str; 6] = ["Kafka partition", "covered", "records", "objects", "stored", "committed"];

fn row(partition: &PartitionReport) -> [String; 6] {
    let objects = partition.objects + partition.dead_letter_objects;
    [
        partition.kafka_partition.to_string(),
        covered_text(&partition.covered),
        words::count(partition.records),
        words::count(objects),
        words::size(partition.stored_bytes as f64),
        group_text(&partition.group),
    ]
}

/// The first and the last column to the left, numbers to the right.
fn joined(cells: &[String; 6], widths: &[usize]) -> String {
    let mut line = String::new();
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let gap = if column == 0 { "" } else { "  " };
        let _ = match column {
            2..=4 => write!(line, "{gap}{cell:>width$}"),
            _ => write!(line, "{gap}{cell:<width$}"),
        };
    }
    line
}

fn covered_text(covered: &[CoveredReport]) -> String {
    let ranges: Vec<_> = covered.iter().map(|it| it.range.to_string()).collect();
    if ranges.is_empty() { "nothing".to_owned() } else { words::listed(&ranges, 3) }
}

fn group_text(group: &GroupReport) -> String {
    match (group.committed, group.state, group.pinned_to) {
        (Some(at), "pin", Some(end)) => format!("{at}, pinned to {end}"),
        (Some(at), "mark", _) => at.to_string(),
        (Some(at), "foreign", _) => format!("{at}, set by somebody else"),
        (Some(at), state, _) => format!("{at}, {state}"),
        (None, "unknown", _) => "not known".to_owned(),
        (None, ..) => "none".to_owned(),
    }
}

fn by_kind(gaps: &[Gap]) -> Vec<(GapKind, Vec<&Gap>)> {
    let mut kinds: Vec<(GapKind, Vec<&Gap>)> = Vec::new();
    for gap in gaps {
        match kinds.iter_mut().find(|(kind, _)| *kind == gap.kind) {
            Some((_, some)) => some.push(gap),
            None => kinds.push((gap.kind, vec![gap])),
        }
    }
    kinds.sort_by_key(|(kind, _)| std::cmp::Reverse(*kind));
    kinds
}

fn gap_text(kind: GapKind, gaps: &[&Gap]) -> String {
    let shown: Vec<_> = gaps
        .iter()
        .map(|gap| match gap.lands_at {
            Some(at) => format!("{} from offset {at} on", gap.range),
            None => gap.range.to_string(),
        })
        .collect();
    let ranges = words::listed(&shown, SHOWN);
    match kind {
        GapKind::Missing => format!("missing: {ranges}: Kafka has records there that belong here"),
        GapKind::Unknown => format!("not known: {ranges}: Kafka no longer has these offsets"),
        GapKind::Expired => format!("expired: {ranges}: older than --since"),
        GapKind::OtherTime => format!("of other times: {ranges}"),
        GapKind::NoRecord => format!("without a record: {ranges}"),
        GapKind::Skipped => format!("skipped by policy: {ranges}"),
        GapKind::Unasked => format!("not looked at: {ranges}"),
    }
}

fn incomplete_text(it: &IncompleteReport) -> String {
    let IncompleteReport { range, seen, wanted, pin, .. } = it;
    let batch = batch_text(*range, pin);
    match it.kind {
        Incomplete::Missing => {
            format!("missing: {batch} has {seen} of its {wanted} objects")
        }
        Incomplete::Shortened => format!(
            "lost: {batch} was cut short: Kafka deleted records of it before they could land"
        ),
        Incomplete::Expired => {
            format!(
                "expired: {batch} has {seen} of its {wanted} objects, and is older than --since"
            )
        }
        Incomplete::OtherTime => format!(
            "{batch} has {seen} of its {wanted} objects here; the others may be of other times"
        ),
        Incomplete::InFlight => format!("in flight: {batch} has {seen} of its {wanted} objects"),
        Incomplete::Unfinished => format!(
            "begun and left: {batch} has {seen} of its {wanted} objects, and no pin names it"
        ),
    }
}

fn batch_text(range: OffsetRange, pin: &str) -> String {
    format!("the batch {range} (pin {pin})")
}
