//! A report for people: a table, and under it what is wrong.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use super::super::{terminal, words};
use super::phrases::{
    SHOWN, by_kind, covered_text, gap_text, group_text, incomplete_text, quiet_text,
};
use super::report::{AuditReport, Mode, TopicReport};
use crate::pipeline::audit::{Examples, Flaw, GapKind, Health, Incomplete, PartitionReport};

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
        (_, Some(Health::Open), _) => {
            format!("{topics} with {all}: of some nobody can say whether all is there; see above")
        }
        (_, Some(Health::Note), _) => {
            format!("{topics} with {all}: nothing is known to be missing; see the notes")
        }
        _ if report.is_part => format!(
            "{topics} with {all}: nothing of that time is known to be missing; what is gone with \
             its whole batch shows only without --from and --to"
        ),
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
            Health::Open => ("open", 35),
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
            (topic.hidden, "not ours, and not seen by readers of the table"),
            (topic.of_other_groups, "written by another group"),
            (topic.of_other_layouts, "of another layout than today's"),
            (topic.vanished, "listed, and gone when looked at"),
        ] {
            if count > 0 {
                self.line(&format!("        {} {what}", words::many(count as usize, "object")));
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
        for partition in &shown {
            self.findings(partition);
        }
        self.notes(&shown);
    }

    /// What is the same for many is said once.
    fn notes(&mut self, partitions: &[&PartitionReport]) {
        let mut said: Vec<(&str, Vec<String>)> = Vec::new();
        for partition in partitions {
            let number = format!("[{}]", partition.kafka_partition);
            for note in &partition.notes {
                match said.iter_mut().find(|(text, _)| text == note) {
                    Some((_, numbers)) => numbers.push(number.clone()),
                    None => said.push((note, vec![number.clone()])),
                }
            }
        }
        for (note, numbers) in said {
            self.finding(Health::Note, &format!("{}: {note}", words::listed(&numbers, 8)));
        }
    }

    fn findings(&mut self, partition: &PartitionReport) {
        let at = format!("[{}]", partition.kafka_partition);
        if let Some(text) = quiet_text(&partition.covered) {
            self.line(&format!("        {at} {text}"));
        }
        for (kind, gaps) in by_kind(&partition.gaps) {
            let health = match kind {
                GapKind::Missing => Health::Bad,
                kind if kind.is_open() => Health::Open,
                _ => Health::Note,
            };
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::super::super::cluster::TopicView;
    use super::super::super::survey::Counts;
    use super::*;
    use crate::pipeline::audit::{CoveredReport, Gap, GroupReport, Roots, Scope, TopicHoldings};
    use crate::record::{
        Compression, Envelope, HiveKey, InvalidPolicy, IsolationLevel, Layout, Offset, OffsetRange,
        TombstonePolicy,
    };

    fn view() -> TopicView {
        let layout = Layout {
            bucket: "lake".into(),
            prefix: "raw".into(),
            dead_letter_prefix: "dead".into(),
            partition_by: vec![HiveKey::Dt],
            compression: Compression::Gzip,
            usable_time: (0, i64::MAX),
            envelope: Envelope::None,
            on_invalid: InvalidPolicy::DeadLetter,
            on_tombstone: TombstonePolicy::Skip,
            max_record_bytes: 1 << 20,
            isolation_level: IsolationLevel::ReadCommitted,
        };
        let roots = Roots::of(&Arc::new(layout), "orders");
        TopicView { roots, facts: BTreeMap::new(), unknown: None }
    }

    fn span(base: i64, end: i64) -> OffsetRange {
        OffsetRange { base: Offset(base), end: Offset(end) }
    }

    fn partition(number: i32, gaps: Vec<Gap>) -> PartitionReport {
        let whole = CoveredReport {
            range: span(0, 12_345_678),
            batches: 99,
            objects: 120,
            records: 1_234_567,
            not_landed: 0,
            without_record: 0,
            skipped: 3,
        };
        let committed = Some(Offset(12_345_678));
        let mut report = PartitionReport {
            kafka_partition: number,
            health: Health::Well,
            objects: 100,
            dead_letter_objects: 20,
            records: 1_234_567,
            stored_bytes: 3 << 20,
            covered: vec![whole],
            gaps,
            incomplete: Vec::new(),
            doubled: Examples::default(),
            above: Vec::new(),
            group: GroupReport { committed, state: "mark", pinned_to: None },
            log: None,
            content: None,
            notes: vec!["something to know".to_owned()],
        };
        report.health = report.judged();
        report
    }

    fn of(partitions: Vec<PartitionReport>) -> AuditReport {
        let mut topic = TopicReport::begin(&view(), &TopicHoldings::default());
        topic.kafka_partitions = partitions;
        topic.health = Some(topic.judged());
        AuditReport::new(Mode::Metadata, Scope::default(), vec![topic], None, &Counts::default())
    }

    #[test]
    fn a_page_has_a_table_and_under_it_what_is_wrong() {
        let lands_at = Some(Offset(12));
        let gap =
            Gap { range: span(10, 20), kind: GapKind::Missing, lands_at, before_first: false };
        let report = of(vec![partition(0, vec![gap]), partition(11, Vec::new())]);
        assert_eq!(report.exit_code(), 6);
        let wanted = "\
orders  s3://lake/raw/orders/  dead letters s3://lake/dead/raw/orders/
        Kafka partition  covered          records  objects   stored  committed
  BAD   0                [0, 12345678)  1,234,567      120  3.0 MiB  12345678
  note  11               [0, 12345678)  1,234,567      120  3.0 MiB  12345678
        [0] between batches 3 offsets whose records do not land
  BAD   [0] missing: [10, 20) from offset 12 on: Kafka has records there that belong here
        [11] between batches 3 offsets whose records do not land
  note  [0], [11]: something to know

1 topic with 2 Kafka partitions: 1 with something missing, doubled or damaged
";
        assert_eq!(text(&report, false), wanted);
        assert!(text(&report, true).contains("\u{1b}[31mBAD   \u{1b}[0m0"));
    }

    #[test]
    fn of_very_many_only_those_that_are_not_well_have_a_row() {
        let well = |number| {
            let mut partition = partition(number, Vec::new());
            partition.notes.clear();
            partition.covered[0].skipped = 0;
            partition.health = partition.judged();
            partition
        };
        let mut many: Vec<_> = (0..300).map(well).collect();
        many[7] = partition(7, Vec::new());
        let text = text(&of(many), false);
        assert!(text.lines().count() < 12 && text.contains("299 Kafka partitions more, all well"));
    }
}
