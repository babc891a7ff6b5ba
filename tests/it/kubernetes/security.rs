//! Pod Security "restricted", field by field, for every pod that the chart makes.

use std::process::Command;

use serde_json::{Value, json};

use super::{EXAMPLES, Objects, render};
use crate::needs_servers;
use crate::support::{tools, workdir::WorkDir};

/// What breaks the standard in a pod's specification.
fn broken(spec: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    let mut demand = |what: &str, holds: bool| {
        if !holds {
            broken.push(what.to_owned());
        }
    };
    for shared in ["hostNetwork", "hostPID", "hostIPC"] {
        demand(shared, spec.get(shared).is_none());
    }
    let pod = &spec["securityContext"];
    demand("runAsNonRoot", pod["runAsNonRoot"] == true);
    demand("runAsUser", pod["runAsUser"] == 65532 && pod["runAsGroup"] == 65532);
    demand("seccompProfile", pod["seccompProfile"]["type"] == "RuntimeDefault");
    demand("sysctls", pod.get("sysctls").is_none());
    demand("tokens of the API server", spec["automountServiceAccountToken"] == false);
    let allowed = ["configMap", "emptyDir", "projected", "secret", "downwardAPI", "csi"];
    for volume in spec["volumes"].as_array().into_iter().flatten() {
        let kinds = volume.as_object().expect("a volume").keys().filter(|key| *key != "name");
        demand("volumes", kinds.clone().count() == 1);
        demand("volumes", kinds.into_iter().all(|kind| allowed.contains(&kind.as_str())));
    }
    for container in spec["containers"].as_array().expect("containers") {
        let own = &container["securityContext"];
        demand("allowPrivilegeEscalation", own["allowPrivilegeEscalation"] == false);
        demand("readOnlyRootFilesystem", own["readOnlyRootFilesystem"] == true);
        demand("capabilities", own["capabilities"] == json!({ "drop": ["ALL"] }));
        demand("privileged", own.get("privileged").is_none());
        let ports = container["ports"].as_array().into_iter().flatten();
        demand("hostPort", ports.into_iter().all(|port| port.get("hostPort").is_none()));
    }
    broken
}

fn pods(objects: &Objects) -> Vec<&Value> {
    let sink = &objects.pod()["spec"];
    let audit = objects.find("CronJob");
    let audit = audit.map(|job| &job["spec"]["jobTemplate"]["spec"]["template"]["spec"]);
    [Some(sink), audit].into_iter().flatten().collect()
}

#[test]
fn every_pod_is_restricted() {
    needs_servers!();
    for name in EXAMPLES {
        for pod in pods(&Objects::of(name, &["audit.enabled=true"])) {
            assert_eq!(broken(pod), [""; 0], "{name}");
        }
    }
}

#[test]
fn a_pod_that_is_not_is_seen() {
    needs_servers!();
    for (values, wanted) in [
        ("securityContext.allowPrivilegeEscalation=true", "allowPrivilegeEscalation"),
        ("securityContext.readOnlyRootFilesystem=false", "readOnlyRootFilesystem"),
        (r#"securityContext.capabilities={"drop":["NET_RAW"]}"#, "capabilities"),
        ("podSecurityContext.runAsNonRoot=false", "runAsNonRoot"),
        ("podSecurityContext.runAsUser=0", "runAsUser"),
        (r#"podSecurityContext.seccompProfile={"type":"Unconfined"}"#, "seccompProfile"),
        (r#"extraVolumes=[{"name":"host","hostPath":{"path":"/"}}]"#, "volumes"),
    ] {
        let objects = Objects::of("minimal", &[values]);
        assert_eq!(broken(pods(&objects)[0]), [wanted], "{values}");
    }
}

#[test]
fn nothing_that_the_chart_makes_gives_rights_in_the_cluster() {
    needs_servers!();
    let objects = Objects::of("everything", &[]);
    for object in &objects.0 {
        let kind = object["kind"].as_str().expect("a kind");
        assert!(!kind.contains("Role") && kind != "Secret", "{kind}");
        assert_eq!(object["metadata"]["namespace"], "data", "{kind}");
    }
    let account = objects.one("ServiceAccount");
    assert_eq!(account["automountServiceAccountToken"], false);
    let role = &account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"];
    assert_eq!(role, "arn:aws:iam::123456789012:role/kafka-s3-sink");
    assert_eq!(objects.pod()["spec"]["serviceAccountName"], account["metadata"]["name"]);
}

/// Secrets in the environment: librdkafka's are values, and the sink has no other way for them here.
/// Limits of the processor: they would only throttle.
const MEANT: &str = "CKV_K8S_35,CKV_K8S_11";

#[test]
fn checkov_finds_nothing_but_what_is_meant() {
    needs_servers!();
    let dir = WorkDir::new("chart-checkov");
    std::fs::write(dir.path().join("all.yaml"), render("everything", &[])).expect("a file");
    let mut command = Command::new(tools::dir().join("venv-checkov/bin/checkov"));
    let what = ["--skip-download", "--framework", "kubernetes", "-f", "all.yaml", "--compact"];
    let output = command.args(what).args(["--skip-check", MEANT]).current_dir(dir.path()).output();
    let output = output.expect("checkov");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("Failed checks: 0") && !said.contains("Passed checks: 0"), "{said}");
}
