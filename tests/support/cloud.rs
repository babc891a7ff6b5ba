//! Stand-ins for AWS on the loopback interface: ministack, which enforces IAM and looks at a stack's
//! Rules, and moto, which knows instances. Neither is AWS, and each drops some resources in silence:
//! so every resource is read back, on the one that has it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::process::{self, Process};
use super::workdir::{WorkDir, free_port};
use super::{http, tools};

/// Where templates are put, to be deployed from.
pub(crate) const TEMPLATES: &str = "templates";

/// An access key, its secret, and the token of a session.
pub(crate) type Keys = [Option<String>; 3];

/// What AWS refused: code and message.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) code: String,
    pub(crate) message: String,
}

/// One stand-in, and the process that calls it.
pub(crate) struct Cloud {
    pub(crate) endpoint: String,
    wants_url: bool,
    caller: Child,
    calls: ChildStdin,
    answers: BufReader<ChildStdout>,
    // The server, so that it is dead before its folder goes.
    _server: Process,
    _dir: WorkDir,
}

/// The account's owner, to whom the stand-ins allow everything.
pub(crate) fn owner() -> Keys {
    [Some("test".to_owned()), Some("test".to_owned()), None]
}

pub(crate) fn program(name: &str) -> std::path::PathBuf {
    tools::dir().join("venv-aws/bin").join(name)
}

/// The folder that Python finds DuckDB in.
fn duckdb() -> PathBuf {
    let mut folders = std::fs::read_dir(tools::dir().join("venv/lib")).expect("Python's folder");
    folders.next().expect("its version").expect("a folder").path().join("site-packages")
}

impl Cloud {
    /// With IAM enforced, but for the root keys.
    pub(crate) fn ministack() -> Self {
        let port = free_port();
        Self::start("ministack", Self::ministack_at(port), port, "/_ministack/health")
    }

    fn ministack_at(port: u16) -> Command {
        let mut command = Command::new(program("ministack"));
        command.env("BIND_HOST", "127.0.0.1").env("GATEWAY_PORT", port.to_string());
        command.env("AUTH", "true").env("IOT_MTLS_ENABLED", "false");
        command
    }

    /// The same, with an Athena that runs queries over its own bucket: by DuckDB, which is not Athena.
    pub(crate) fn ministack_with_queries() -> Self {
        let port = free_port();
        let mut command = Self::ministack_at(port);
        // DuckDB is in a folder of its own, made by the same Python.
        command.env("PYTHONPATH", duckdb()).env("ATHENA_ENGINE", "duckdb");
        Self::start("ministack", command, port, "/_ministack/health")
    }

    pub(crate) fn moto() -> Self {
        let port = free_port();
        let mut command = Command::new(program("moto_server"));
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        Self::start("moto", command, port, "/moto-api/")
    }

    fn start(name: &str, mut command: Command, port: u16, health: &str) -> Self {
        let dir = WorkDir::new(name);
        command.current_dir(dir.path());
        let mut server = Process::start(name, command, &dir.path().join("log"));
        let address = format!("127.0.0.1:{port}");
        server.wait_ready(Duration::from_secs(60), || {
            http::get(&address, health).is_some_and(|(status, _)| status == 200)
        });
        let endpoint = format!("http://{address}");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/aws_call.py");
        let mut command = Command::new(program("python"));
        command.arg(script).arg(&endpoint).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut caller = process::spawn(command);
        let calls = caller.stdin.take().expect("a pipe");
        let answers = BufReader::new(caller.stdout.take().expect("a pipe"));
        let wants_url = name == "ministack";
        Self { endpoint, wants_url, caller, calls, answers, _server: server, _dir: dir }
    }

    /// A call with these keys.
    pub(crate) fn call_as(
        &mut self,
        keys: &Keys,
        service: &str,
        method: &str,
        params: Value,
    ) -> Result<Value, Refused> {
        let call = json!({"service": service, "method": method, "params": params, "keys": keys});
        writeln!(self.calls, "{call}").expect("the caller listens");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("an answer");
        let mut answer: Value = serde_json::from_str(&line).expect("a line of JSON");
        if answer.get("ok").is_some() {
            return Ok(answer["ok"].take());
        }
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        Err(Refused { code: text("error"), message: text("message") })
    }

    /// A call as the account's owner, which must succeed.
    #[track_caller]
    pub(crate) fn call(&mut self, service: &str, method: &str, params: Value) -> Value {
        match self.call_as(&owner(), service, method, params) {
            Ok(answer) => answer,
            Err(refused) => panic!("{service} {method}: {refused:?}"),
        }
    }

    /// Makes a stack of this template, and waits for it.
    pub(crate) fn deploy(
        &mut self,
        name: &str,
        template: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Value, Refused> {
        let parameters: Vec<Value> = parameters
            .iter()
            .map(|(key, value)| json!({"ParameterKey": key, "ParameterValue": value}))
            .collect();
        let mut stack = json!({"StackName": name, "Parameters": parameters,
            "Capabilities": ["CAPABILITY_IAM"]});
        // As in AWS, a template of this size comes from a bucket; moto wants it in the request.
        if self.wants_url {
            self.call("s3", "create_bucket", json!({"Bucket": TEMPLATES}));
            let object = json!({"Bucket": TEMPLATES, "Key": name, "Body": template});
            self.call("s3", "put_object", object);
            stack["TemplateURL"] = format!("{}/{TEMPLATES}/{name}", self.endpoint).into();
        } else {
            stack["TemplateBody"] = template.into();
        }
        self.call_as(&owner(), "cloudformation", "create_stack", stack)?;
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let stacks = self.call("cloudformation", "describe_stacks", json!({"StackName": name}));
            let stack = &stacks["Stacks"][0];
            if stack["StackStatus"] == "CREATE_COMPLETE" {
                return Ok(stack.clone());
            }
            let going = stack["StackStatus"] == "CREATE_IN_PROGRESS" && Instant::now() < deadline;
            assert!(going, "{stack:#}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Keys of a session in this role, taken by the account's owner.
    pub(crate) fn assume(&mut self, role: &str) -> Keys {
        self.assume_as(&owner(), role)
    }

    /// Keys of a session in this role.
    pub(crate) fn assume_as(&mut self, who: &Keys, role: &str) -> Keys {
        let params = json!({"RoleArn": role, "RoleSessionName": "test"});
        let answer = self.call_as(who, "sts", "assume_role", params).expect("a session");
        ["AccessKeyId", "SecretAccessKey", "SessionToken"]
            .map(|part| answer["Credentials"][part].as_str().map(str::to_owned))
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        let _ = self.caller.kill();
        let _ = self.caller.wait();
    }
}

/// What a stack puts out under this name.
#[track_caller]
pub(crate) fn output(stack: &Value, name: &str) -> String {
    let outputs = stack["Outputs"].as_array().expect("outputs");
    let output = outputs.iter().find(|output| output["OutputKey"] == name);
    let value = output.and_then(|output| output["OutputValue"].as_str());
    value.unwrap_or_else(|| panic!("no output {name}: {stack:#}")).to_owned()
}

/// The ARN of the one role whose name holds this.
#[track_caller]
pub(crate) fn role(cloud: &mut Cloud, name: &str) -> String {
    let found = cloud.call("iam", "list_roles", json!({}));
    let roles = found["Roles"].as_array().expect("roles");
    let role = roles.iter().find(|role| role["RoleName"].to_string().contains(name));
    role.and_then(|role| role["Arn"].as_str()).unwrap_or_else(|| panic!("no {name}")).to_owned()
}
