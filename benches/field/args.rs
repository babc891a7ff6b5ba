//! The command line, and how much is measured.

use std::path::PathBuf;

use clap::Parser;

#[derive(Parser)]
#[command(name = "field", about = "Bare consumption, the sink and others, measured side by side")]
struct Words {
    /// The same on less, in a few minutes; the figures are rougher
    #[arg(long)]
    quick: bool,
    /// Which rows exist
    #[arg(long)]
    list: bool,
    /// Only these rows
    #[arg(long, value_delimiter = ',', value_name = "ROW,ROW")]
    rows: Vec<String>,
    /// Writes what was measured as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Records of the headline's topic
    #[arg(long, value_name = "N")]
    records: Option<u64>,
    /// Bytes of one of them
    #[arg(long, value_name = "N", default_value_t = 466)]
    size: usize,
    /// Kafka partitions of the headline's topic
    #[arg(long, value_name = "N", default_value_t = 8)]
    partitions: i32,
    /// How often bare consumption and the sink run in turn for a ratio
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Another sink, started by the shell with {bootstrap} {topic} {bucket} {endpoint} {access_key}
    /// {secret_key} filled in; may be given several times
    #[arg(long, value_name = "NAME=COMMAND")]
    other: Vec<String>,
    /// cargo bench says so
    #[arg(long, hide = true)]
    bench: bool,
}

/// What to do.
pub(crate) struct Plan {
    pub(crate) list: bool,
    pub(crate) rows: Vec<String>,
    pub(crate) json: Option<PathBuf>,
    pub(crate) others: Vec<(String, String)>,
    pub(crate) scale: Scale,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) quick: bool,
    /// Of the headline's topic.
    pub(crate) records: u64,
    pub(crate) size: usize,
    pub(crate) partitions: i32,
    /// Of the headline's ratios.
    pub(crate) rounds: usize,
    /// Of the curves' points.
    pub(crate) curve_rounds: usize,
    /// Bytes of record values at each point of a curve.
    pub(crate) curve_bytes: u64,
}

/// Reads the command line; ends the program where it is wrong.
pub(crate) fn read() -> Plan {
    let words = Words::parse();
    let quick = words.quick;
    let scale = Scale {
        quick,
        records: words.records.unwrap_or(if quick { 600_000 } else { 2_400_000 }),
        size: words.size,
        partitions: words.partitions,
        rounds: words.rounds.unwrap_or(if quick { 2 } else { 5 }),
        curve_rounds: words.rounds.unwrap_or(if quick { 1 } else { 2 }),
        curve_bytes: if quick { 100 << 20 } else { 512 << 20 },
    };
    let others = words.other.iter().map(|text| {
        let named = text.split_once('=').map(|(name, rest)| (name.to_owned(), rest.to_owned()));
        named.unwrap_or_else(|| fail(&format!("--other wants NAME=COMMAND, not {text:?}")))
    });
    Plan { list: words.list, rows: words.rows, json: words.json, others: others.collect(), scale }
}

/// Ends the program as the command line's parser does.
pub(crate) fn fail(text: &str) -> ! {
    eprintln!("error: {text}");
    std::process::exit(2);
}
