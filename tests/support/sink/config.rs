//! Configurations for the sink under test.

use toml::{Table, Value};

use super::super::bucket::Bucket;
use super::super::kafka::Broker;

/// A configuration file and the environment that goes with it.
#[derive(Clone, Debug)]
pub(crate) struct SinkConfig {
    text: Option<String>,
    table: Table,
    environment: Vec<(String, String)>,
}

impl SinkConfig {
    /// What the tests begin with: the topic, a group of the same name, and the bucket.
    pub(crate) fn new(broker: &Broker, bucket: &Bucket, topic: &str) -> Self {
        let environment = bucket.credentials();
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { text: None, table: Table::new(), environment: environment.into() }
            .set("kafka.bootstrap_servers", broker.bootstrap())
            .set("kafka.topics", vec![topic.to_owned()])
            .set("kafka.group_id", format!("{topic}-sink"))
            .set("s3.bucket", bucket.name())
            .set("s3.region", "us-east-1")
            .set("s3.endpoint", bucket.endpoint())
            .set("s3.force_path_style", true)
            .set("layout.prefix", "raw")
            .set("layout.dead_letter_prefix", "dead-letters")
            .set("rotation.max_age", "2s")
            .set("http.listen", "127.0.0.1:0")
            .set("log.level", "info")
    }

    /// A file with exactly this text.
    pub(crate) fn of_text(text: &str) -> Self {
        Self { text: Some(text.to_owned()), table: Table::new(), environment: Vec::new() }
    }

    /// Sets `section.key`; a dot in quotes belongs to the name: `topic."a.b".records.envelope`.
    pub(crate) fn set(mut self, path: &str, value: impl Into<Value>) -> Self {
        let mut parts = path_parts(path);
        let last = parts.pop().expect("a key");
        let mut table = &mut self.table;
        for part in parts {
            let entry = table.entry(part).or_insert_with(|| Value::Table(Table::new()));
            table = entry.as_table_mut().expect("a section");
        }
        table.insert(last, value.into());
        self
    }

    /// Sets an environment variable of the sink.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What the file of `http.token_file` holds now.
    pub(crate) fn token(&self) -> Option<String> {
        let file = self.table.get("http")?.get("token_file")?.as_str()?;
        std::fs::read_to_string(file).ok().map(|token| token.trim().to_owned())
    }

    pub(crate) fn text(&self) -> String {
        self.text.clone().unwrap_or_else(|| self.table.to_string())
    }

    pub(crate) fn environment(&self) -> impl Iterator<Item = (&str, &str)> {
        self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

fn path_parts(path: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for letter in path.chars() {
        match letter {
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            _ => parts.last_mut().expect("at least one").push(letter),
        }
    }
    parts
}
