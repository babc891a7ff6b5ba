//! What stands under `deploy/`: judged by the tools that its users would trust, and deployed on
//! stand-ins for AWS, with every resource read back.

mod glue;
pub(crate) mod instances;
mod lake;
mod package;
mod rights;
mod rules;
mod terraform;
mod under_role;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::needs_servers;
use crate::support::tools;

const BUCKET: &str = "lake-of-the-test";

/// A stack without instances, which is all that ministack can make.
const LAKE: [(&str, &str); 4] = [
    ("KafkaMode", "none"),
    ("SinkPlacement", "none"),
    ("NamedQueries", "no"),
    ("BucketName", BUCKET),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/cloudformation")
}

pub(crate) fn template() -> String {
    std::fs::read_to_string(folder().join("pipeline.yaml")).expect("the template")
}

fn with<'a>(base: &[(&'a str, &'a str)], more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let other = base.iter().filter(|(name, _)| more.iter().all(|(own, _)| own != name));
    other.chain(more).copied().collect()
}

/// The template without these resources of ministack's ignorance; what refers to an instance finds
/// a parameter of its name instead, so that the alarms can be made.
pub(crate) fn without_instances() -> String {
    let unknown = [
        "EC2::Instance",
        "EC2::Volume",
        "EC2::VolumeAttachment",
        "EC2::SecurityGroupIngress",
        "EC2::SecurityGroupEgress",
    ];
    let text = template();
    let (head, resources) = text.split_once("\nResources:\n").expect("resources");
    let block =
        regex::Regex::new(r"(?m)^  \w+:\n    Type: AWS::(\S+)\n(?:    .*\n|\n)*").expect("regex");
    let kept = block.replace_all(resources, |found: &regex::Captures| {
        let gone = unknown.contains(&&found[1]) || &found[1] == "Athena::NamedQuery";
        if gone { String::new() } else { found[0].to_owned() }
    });
    assert!(kept.len() + 5_000 < resources.len(), "the resources are gone");
    let parameters = "\nParameters:\n  BrokerInstance: { Type: String, Default: i-0123456789abcdef0 }\n  SinkInstance: { Type: String, Default: i-0123456789abcdef1 }\n";
    let head = head.replacen("\nParameters:\n", parameters, 1);
    format!("{head}\nResources:\n{}", kept.replace("${BrokerInstance.PrivateDnsName}", "broker"))
}

/// Runs a tool that judges, which must find nothing.
#[track_caller]
fn finds_nothing(tool: &str, args: &[&str]) {
    let mut command = Command::new(tools::dir().join(tool));
    let output = command.args(args).current_dir(folder()).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let cried = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool}: {said}\n{cried}");
}

#[test]
fn cfn_lint_finds_nothing() {
    needs_servers!();
    finds_nothing("venv-aws/bin/cfn-lint", &["-t", "pipeline.yaml"]);
}

#[test]
fn checkov_finds_nothing() {
    needs_servers!();
    let what = ["--framework", "cloudformation", "-f", "pipeline.yaml", "--quiet", "--compact"];
    finds_nothing("venv-checkov/bin/checkov", &[&["--skip-download"], &what[..]].concat());
}

#[test]
fn the_template_carries_the_user_data_script() {
    let script = std::fs::read_to_string(folder().join("user-data.sh")).expect("the script");
    let bare = |line: &&str| {
        let text = line.trim_start();
        !text.is_empty() && text != "#" && !text.starts_with("# ")
    };
    let script: Vec<&str> = script.lines().filter(bare).collect();
    let text = template();
    let (_, carried) = text.split_once("      Text: |\n").expect("the mapping");
    let (carried, _) = carried.split_once("\n\nConditions:").expect("its end");
    let carried: Vec<&str> =
        carried.lines().map(|line| line.strip_prefix("        ").unwrap_or(line)).collect();
    // Not equal: put the script's lines, without comments and blank ones, under UserData.Script.Text.
    assert_eq!(carried, script);
}

/// The queries of `deploy/athena`, as a stack has them over its own table.
fn queries() -> Vec<(String, String)> {
    let files = std::fs::read_dir(folder().with_file_name("athena")).expect("the folder");
    let query = |file: std::io::Result<std::fs::DirEntry>| {
        let path = file.expect("a file").path();
        let text = std::fs::read_to_string(&path).expect("a query");
        let text = text.replace("FROM orders\n", "FROM \"${DatabaseName}\".\"${Table}\"\n");
        let view = "VIEW \"${DatabaseName}\".\"${Table}_flat\" AS";
        (path.display().to_string(), text.replace("VIEW orders_flat AS", view))
    };
    files.map(query).collect()
}

#[test]
fn the_template_carries_the_queries() {
    let (text, queries) = (template(), queries());
    for (name, query) in &queries {
        let lines = query.lines().map(|line| format!("          {line}\n"));
        // Not there: put the file's lines, with that table, under a QueryString.
        assert!(text.contains(&lines.collect::<String>()), "{name}");
    }
    // Neither stand-in takes them from a stack; Terraform's are read back, with the same texts.
    let blocks: Vec<_> = text.split("    Type: AWS::Athena::NamedQuery\n").skip(1).collect();
    assert_eq!(blocks.len(), queries.len());
    for block in blocks {
        let block = block.split("    Type: AWS::").next().unwrap_or_default();
        let wants_envelope = block.contains("Condition: HasEnvelopeQueries\n");
        assert_eq!(block.contains("\"_kafka\""), wants_envelope, "{block}");
    }
}

#[test]
fn the_user_data_writes_files_that_the_sink_takes() {
    let dir = crate::support::workdir::WorkDir::new("user-data");
    let inputs = dir.path().join("stack.env");
    let lines = "KAFKA_MODE='none'\nKAFKA_VERSION=''\nRUNS_SINK='yes'\nBOOTSTRAP_SERVERS='b-1:9098,b-2:9098'\nMSK_IAM_REGION='eu-central-1'\nTOPICS='orders,clicks.all'\nGROUP_ID='g'\nBUCKET='lake'\nREGION='eu-central-1'\nLAYOUT_PREFIX='raw'\nDEAD_LETTER_PREFIX='dead-letters'\nENVELOPE='fields'\nKAFKA_PARTITIONS='4'\nPACKAGE_URL=''\nPACKAGE_SHA256=''\n";
    std::fs::write(&inputs, lines).expect("inputs");
    let printed = |what: &str| {
        let mut command = Command::new("bash");
        let output = command.arg(folder().join("user-data.sh")).arg(what).arg(&inputs).output();
        let output = output.expect("bash");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let text = printed("config");
    assert!(text.contains(r#"topics = ["orders", "clicks.all"]"#), "{text}");
    let config = dir.path().join("sink.toml");
    std::fs::write(&config, text).expect("configuration");
    let sink = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kafka-s3-sink"));
        let output = command.current_dir(dir.path()).args(args).output().expect("the sink");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    let (code, said) = sink(&["check", "--offline", "--config", "sink.toml"]);
    assert_eq!(code, Some(0), "{said}");
    let text = printed("topics");
    assert!(text.contains("[topic.\"clicks.all\"]\npartitions = 4\n"), "{text}");
    std::fs::write(dir.path().join("topics.toml"), text).expect("topics");
    // The file is looked at before a broker is asked, and nobody listens there.
    let nobody = format!("127.0.0.1:{}", crate::support::workdir::free_port());
    let (code, said) = sink(&["topics", "apply", "topics.toml", "--bootstrap-servers", &nobody]);
    assert!(code == Some(5) && said.contains("cannot be reached"), "{code:?}: {said}");
}
