//! Where a guide is run: its blocks, what stands in for what a reader has, and a broker.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::deploy::without_instances;
use crate::support::cloud::Cloud;
use crate::support::kafka::{Broker, Version};
use crate::support::process::Process;
use crate::support::tools;
use crate::support::workdir::{WorkDir, free_port};

/// What a block that is not run begins with, and why.
pub(super) type NotRun<'a> = (&'a str, &'a str);

/// Whom the broker of the second guide knows, beside the tests, who may do anything.
pub(super) const USERS: [&str; 2] = ["kafka-s3-sink", "nobody"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A guide.
pub(super) fn text(guide: &str) -> String {
    std::fs::read_to_string(root().join("docs").join(guide)).expect("a guide")
}

/// The `sh` block of a guide that begins with these words.
pub(crate) fn block(guide: &str, begin: &str) -> String {
    blocks(guide).into_iter().find(|block| block.starts_with(begin)).expect(begin)
}

/// The `sh` blocks of a guide.
fn blocks(guide: &str) -> Vec<String> {
    let text = text(guide);
    let block = regex::Regex::new(r"(?ms)^```sh\n(.*?)^```$").expect("a pattern");
    block.captures_iter(&text).map(|found| found[1].to_owned()).collect()
}

/// A place to run a guide in.
pub(super) struct Desk {
    dir: WorkDir,
    pub(super) cloud: Cloud,
    pub(super) broker: Broker,
    /// More of the environment.
    pub(super) environment: Vec<(String, String)>,
}

/// A broker that lets in whom it is told to, and where: it asks for a name and a password there.
pub(super) fn broker_with_rights() -> (Broker, String) {
    let at = format!("127.0.0.1:{}", free_port());
    let listeners = format!(
        "PLAINTEXT://127.0.0.1:{{port}},CONTROLLER://127.0.0.1:{{second_port}},SASL://{at}"
    );
    let users = USERS.map(|name| format!("user_{name}=\"secret\""));
    let jaas = format!(
        "org.apache.kafka.common.security.plain.PlainLoginModule required {};",
        users.join(" ")
    );
    let settings = [
        ("listeners", &*listeners),
        ("advertised.listeners", &format!("PLAINTEXT://127.0.0.1:{{port}},SASL://{at}")),
        (
            "listener.security.protocol.map",
            "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT",
        ),
        ("sasl.enabled.mechanisms", "PLAIN"),
        ("listener.name.sasl.plain.sasl.jaas.config", &jaas),
        ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
        ("super.users", "User:ANONYMOUS"),
    ];
    (Broker::start_with(Version::V4, &settings), at)
}

impl Desk {
    pub(super) fn new(broker: Broker) -> Self {
        let dir = WorkDir::new("guide");
        let mut copy = Command::new("cp");
        let copied = copy.arg("-r").arg(root().join("deploy")).arg(dir.path()).status();
        assert!(copied.expect("cp").success());
        let cloud = Cloud::ministack_with_queries();
        let desk = Self { dir, cloud, broker, environment: Vec::new() };
        desk.put("deploy/cloudformation/pipeline.yaml", &without_instances());
        // Kafka's scripts do the same, from its own folder.
        let libs = tools::dir().join("kafka-4.2.0/libs");
        for (script, class) in [
            ("kafka-consumer-groups.sh", "consumer.group.ConsumerGroupCommand"),
            ("kafka-acls.sh", "AclCommand"),
        ] {
            let call = format!("java -cp '{}/*' org.apache.kafka.tools.{class}", libs.display());
            desk.program(script, &format!("#!/bin/sh\nexec {call} \"$@\"\n"));
        }
        let stand_in = root().join("tests/support/guide_aws.py");
        let python = tools::dir().join("venv-aws-cli/bin/python");
        let call = format!("'{}' '{}'", python.display(), stand_in.display());
        desk.program("aws", &format!("#!/bin/sh\nexec {call} \"$@\"\n"));
        // What a reader does as root, one does here as oneself; no unit runs here.
        desk.program("sudo", "#!/bin/sh\nexec \"$@\"\n");
        desk
    }

    pub(super) fn put(&self, name: &str, text: &str) {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    pub(super) fn program(&self, name: &str, text: &str) {
        let name = format!("bin/{name}");
        self.put(&name, text);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(self.dir.path().join(name), mode).expect("rights");
    }

    /// The sink signs in there under this name from now on.
    pub(super) fn sign_in(&mut self, at: &str, name: &str) {
        let of =
            |key: &str, value: &str| (format!("KAFKA_S3_SINK__KAFKA__{key}"), value.to_owned());
        self.environment = vec![
            of("BOOTSTRAP_SERVERS", at),
            of("LIBRDKAFKA__SECURITY_PROTOCOL", "sasl_plaintext"),
            of("LIBRDKAFKA__SASL_MECHANISM", "PLAIN"),
            of("LIBRDKAFKA__SASL_USERNAME", name),
            of("LIBRDKAFKA__SASL_PASSWORD", "secret"),
        ];
    }

    /// A program of the desk, in the reader's environment.
    pub(super) fn command(&self, program: &str) -> Command {
        let paths = [
            self.dir.path().join("bin"),
            tools::dir().join("venv-aws-cli/bin"),
            Path::new(env!("CARGO_BIN_EXE_kafka-s3-sink")).parent().expect("a folder").to_owned(),
        ];
        let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        let path = std::env::var("PATH").expect("a PATH");
        let mut command = Command::new("env");
        command.arg(program).current_dir(self.dir.path());
        command.env("PATH", format!("{}:{path}", paths.join(":")));
        command.env("AWS_ENDPOINT_URL", &self.cloud.endpoint).env("AWS_PAGER", "");
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        command.env("REAL_AWS", tools::dir().join("venv-aws-cli/bin/aws"));
        command.env("KAFKA_S3_SINK__KAFKA__BOOTSTRAP_SERVERS", self.broker.bootstrap());
        command.env("KAFKA_S3_SINK__S3__ENDPOINT", &self.cloud.endpoint);
        command.env("KAFKA_S3_SINK__S3__FORCE_PATH_STYLE", "true");
        command.env("KAFKA_S3_SINK__HTTP__LISTEN", "off");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a guide with these inputs and other words in place of the reader's, and gives all that
    /// was printed.
    pub(super) fn run(
        &self,
        guide: &str,
        inputs: &str,
        others: &[(&str, &str)],
        not_run: &[NotRun<'_>],
    ) -> String {
        let mut blocks = blocks(guide);
        for (word, other) in others {
            let all: usize = blocks.iter().map(|block| block.matches(word).count()).sum();
            assert_eq!(all, 1, "{word}");
            blocks.iter_mut().for_each(|block| *block = block.replace(word, other));
        }
        let left = |block: &&String| !not_run.iter().any(|(begin, _)| block.starts_with(begin));
        let run: Vec<&String> = blocks.iter().filter(left).collect();
        // One that is not listed is run; one that is listed must be there.
        assert_eq!(run.len() + not_run.len(), blocks.len(), "{guide}: {not_run:?}");
        assert!(run[0].lines().all(|line| line.starts_with("export ")), "{}", run[0]);
        let mut script = format!("{}{inputs}", run[0]);
        for block in &run[1..] {
            script += &format!(
                "echo '--- {}'\n{block}",
                block.lines().next().unwrap_or_default().replace('\'', "")
            );
        }
        self.put("guide.sh", &script);
        let mut command = self.command("bash");
        command.args(["-eu", "-o", "pipefail", "guide.sh"]);
        let log = self.dir.path().join("guide.log");
        let mut process = Process::start(guide, command, &log);
        let end = process.wait(Duration::from_secs(300)).expect("an end");
        let said = process.output();
        assert!(end.status.success(), "{said}");
        said
    }
}
