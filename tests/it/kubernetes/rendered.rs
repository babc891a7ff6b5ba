//! What Helm makes of values.

use std::process::Command;

use serde_json::json;

use super::{EXAMPLES, Objects, VERSIONS, example, fed, file, helm, read, render, try_render};
use crate::needs_servers;
use crate::support::prometheus::promtool;
use crate::support::{tools, workdir::WorkDir};

const INSTANCE: &str = "KAFKA_S3_SINK__KAFKA__GROUP_INSTANCE_ID";

#[test]
fn both_helms_lint_it_and_render_the_same() {
    needs_servers!();
    for name in EXAMPLES {
        for program in ["helm", "helm3"] {
            let output = helm(program, &["lint", "--strict", ".", "-f", &example(name)]);
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{program} {name}: {text}");
        }
        let [four, three] = ["helm", "helm3"].map(|program| try_render(program, name, &[]));
        assert_eq!(read(&four.expect("manifests")), read(&three.expect("manifests")), "{name}");
    }
}

#[test]
fn the_schemas_of_kubernetes_take_every_object() {
    needs_servers!();
    for name in EXAMPLES {
        let manifests = render(name, &[]);
        for version in VERSIONS {
            let mut command =
                Command::new(tools::dir().join("venv-kubernetes/bin/kubernetes-validate"));
            command.args(["--strict", "-k", version, "-"]);
            let (content, text) = fed(command, &manifests);
            assert!(content, "{name} {version}: {text}");
            assert!(text.contains("statefulset/"), "{text}");
            // Those that others define, and nothing else.
            for line in text.lines().filter(|line| line.starts_with("WARN")) {
                let foreign = ["PodMonitor", "PrometheusRule", "ScaledObject"];
                assert!(foreign.iter().any(|kind| line.contains(kind)), "{line}");
            }
        }
    }
}

#[test]
fn a_field_that_kubernetes_does_not_know_is_seen() {
    needs_servers!();
    let wrong = render("minimal", &[]).replace("podManagementPolicy:", "podManagmentPolicy:");
    let mut command = Command::new(tools::dir().join("venv-kubernetes/bin/kubernetes-validate"));
    command.args(["--strict", "-k", "1.33", "-"]);
    let (content, text) = fed(command, &wrong);
    assert!(!content && text.contains("podManagmentPolicy"), "{text}");
}

#[test]
fn keda_and_the_operator_take_theirs() {
    needs_servers!();
    let manifests = render("everything", &[]);
    let judged = read(&manifests);
    assert_eq!(judged["wrong"], json!([]));
    assert_eq!(judged["judged"], json!(["PodMonitor", "PrometheusRule", "ScaledObject"]));
    for (right, wrong) in [
        ("podMetricsEndpoints:", "podMetricsEndpoint:"),
        ("scrapeTimeout: 10s", "scrapeTimeout: ten"),
        ("stabilizationWindowSeconds: 900", "stabilizationWindowSecond: 900"),
        ("maxReplicaCount: 12", "maxReplicaCount: many"),
    ] {
        let judged = read(&manifests.replace(right, wrong));
        assert_ne!(judged["wrong"], json!([]), "{wrong}");
    }
}

#[test]
fn the_rules_are_those_of_deploy_prometheus() {
    needs_servers!();
    let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy/prometheus/kafka-s3-sink.rules.yml");
    let shipped = std::fs::read_to_string(shipped).expect("the rules");
    // Not equal: copy deploy/prometheus/kafka-s3-sink.rules.yml into the chart's files/.
    assert!(file("files/kafka-s3-sink.rules.yml") == shipped, "the chart's copy is another one");
    let objects = Objects::of("everything", &[]);
    let spec = &objects.one("PrometheusRule")["spec"];
    assert_eq!(spec["groups"].as_array().map(Vec::len), Some(2));
    let dir = WorkDir::new("chart-rules");
    // JSON is YAML.
    std::fs::write(dir.path().join("rules.yml"), spec.to_string()).expect("a file");
    let (code, text) = promtool(dir.path(), &["check", "rules", "rules.yml"], "");
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("SUCCESS"), "{text}");
}

#[test]
fn the_job_that_the_operator_makes_is_one_that_the_rules_know() {
    needs_servers!();
    for (values, wanted) in [
        (&[][..], "lake-kafka-s3-sink"),
        (&[r#"fullnameOverride="sink""#][..], "sink-kafka-s3-sink"),
    ] {
        let objects = Objects::of("minio", values);
        assert_eq!(objects.one("PodMonitor")["metadata"]["name"], wanted);
    }
}

#[test]
fn a_member_is_called_after_its_pod_unless_keda_scales() {
    needs_servers!();
    let objects = Objects::of("msk", &[]);
    let from = &objects.variable(INSTANCE).expect("static membership")["valueFrom"];
    assert_eq!(from["fieldRef"]["fieldPath"], "metadata.name");
    assert!(objects.toml().contains("\"session.timeout.ms\" = 120000"), "{}", objects.toml());
    assert_eq!(objects.one("StatefulSet")["spec"]["replicas"], 3);

    let objects = Objects::of("everything", &[]);
    assert_eq!(objects.variable(INSTANCE), None);
    assert!(!objects.toml().contains("session.timeout.ms"), "{}", objects.toml());
    assert!(objects.one("StatefulSet")["spec"].get("replicas").is_none(), "keda's business");

    // With KIP-848 the brokers decide the session's length.
    let objects = Objects::of("minio", &[]);
    assert!(objects.variable(INSTANCE).is_some());
    assert!(!objects.toml().contains("session.timeout.ms"), "{}", objects.toml());

    let objects = Objects::of("minimal", &["membership.static=false"]);
    assert_eq!(objects.variable(INSTANCE), None);
}

#[test]
fn a_pod_may_drain_for_as_long_as_it_says() {
    needs_servers!();
    for (values, seconds) in [
        (&[][..], 75),
        (&[r#"config.shutdown.timeout="1h0m2500ms""#][..], 3_618),
        (&[r#"config.shutdown.timeout="90s""#, "terminationGracePeriodSeconds=95"][..], 95),
    ] {
        let objects = Objects::of("minimal", values);
        assert_eq!(objects.pod()["spec"]["terminationGracePeriodSeconds"], seconds, "{values:?}");
    }
}

#[test]
fn a_change_of_the_configuration_rolls_pods_and_nothing_else_does() {
    needs_servers!();
    let pod = |values: &[&str]| Objects::of("minimal", values).pod().clone();
    let before = pod(&[]);
    assert_ne!(pod(&[r#"config.rotation.max_age="1m""#]), before);
    assert_ne!(pod(&[r#"membership.sessionTimeout="1m""#]), before);
    assert_eq!(pod(&["replicaCount=5"]), before);
    assert_eq!(pod(&["podMonitor.enabled=true", "networkPolicy.enabled=true"]), before);
}

#[test]
fn memory_is_promised_as_it_is_limited() {
    needs_servers!();
    for (name, limit) in [("minimal", "1Gi"), ("everything", "1536Mi"), ("minio", "224Mi")] {
        let objects = Objects::of(name, &[]);
        let resources = &objects.container()["resources"];
        assert_eq!(resources["limits"]["memory"], limit);
        assert_eq!(resources["requests"]["memory"], limit);
    }
}

#[test]
fn who_asks_for_metrics_shows_the_token_that_the_sink_has() {
    needs_servers!();
    let objects = Objects::of("everything", &[]);
    let endpoint = &objects.one("PodMonitor")["spec"]["podMetricsEndpoints"][0];
    let credentials = &endpoint["authorization"]["credentials"];
    assert_eq!(credentials, &json!({ "name": "sink-token", "key": "bearer" }));
    let volumes = objects.pod()["spec"]["volumes"].as_array().expect("volumes");
    let token = volumes.iter().find(|volume| volume["name"] == "token").expect("the token");
    assert_eq!(token["secret"]["secretName"], "sink-token");
    assert_eq!(token["secret"]["items"][0], json!({ "key": "bearer", "path": "token" }));
    let port = &objects.container()["ports"][0];
    assert_eq!((&port["name"], &port["containerPort"]), (&endpoint["port"], &json!(9500)));
}

#[test]
fn the_lag_that_scales_is_a_metric_of_these_pods() {
    needs_servers!();
    let objects = Objects::of("everything", &[]);
    let scaled = &objects.one("ScaledObject")["spec"];
    let set = objects.one("StatefulSet");
    assert_eq!(scaled["scaleTargetRef"]["kind"], "StatefulSet");
    assert_eq!(scaled["scaleTargetRef"]["name"], set["metadata"]["name"]);
    let trigger = &scaled["triggers"][0]["metadata"];
    let query = trigger["query"].as_str().expect("a query");
    assert_eq!(
        query,
        "sum(kafka_s3_sink_consumed_lag_records{namespace=\"data\",pod=~\"lake-sink-[0-9]+\"})"
    );
    assert_eq!(
        (&trigger["threshold"], &trigger["ignoreNullValues"]),
        (&json!("2000000"), &json!("false"))
    );
    let metrics = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let metrics = std::fs::read_to_string(metrics).expect("the reference");
    assert!(metrics.contains("| `kafka_s3_sink_consumed_lag_records` |"), "no such metric");
    let dir = WorkDir::new("chart-query");
    let rules = json!({ "groups": [{ "name": "g", "rules": [{ "record": "r", "expr": query }] }] });
    std::fs::write(dir.path().join("rules.yml"), rules.to_string()).expect("a file");
    let (code, text) = promtool(dir.path(), &["check", "rules", "rules.yml"], "");
    assert_eq!(code, 0, "{text}");
}

#[test]
fn services_budgets_and_monitors_mean_the_sinks_and_not_the_audits() {
    needs_servers!();
    let objects = Objects::of("everything", &[]);
    let labels = &objects.pod()["metadata"]["labels"];
    let audit = &objects.one("CronJob")["spec"]["jobTemplate"]["spec"]["template"];
    let selectors = [
        &objects.one("Service")["spec"]["selector"],
        &objects.one("StatefulSet")["spec"]["selector"]["matchLabels"],
        &objects.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        &objects.one("PodMonitor")["spec"]["selector"]["matchLabels"],
    ];
    let selects = |selector: &serde_json::Value, labels: &serde_json::Value| {
        let wanted = selector.as_object().expect("labels");
        !wanted.is_empty() && wanted.iter().all(|(name, value)| labels[name] == *value)
    };
    for selector in selectors {
        assert!(selects(selector, labels), "{selector} {labels}");
        assert!(!selects(selector, &audit["metadata"]["labels"]), "{selector}");
    }
    let policy = &objects.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"];
    assert!(selects(policy, labels) && selects(policy, &audit["metadata"]["labels"]), "{policy}");
    let args = &audit["spec"]["containers"][0]["args"];
    assert_eq!(args[0], "audit");
    assert_eq!(args[5], "2026-11-01");
}

#[test]
fn the_policy_lets_out_what_the_settings_name() {
    needs_servers!();
    let ports = |name: &str| {
        let objects = Objects::of(name, &[]);
        let rules = objects.one("NetworkPolicy")["spec"]["egress"].as_array().cloned();
        let ports = rules.expect("rules").into_iter().map(|rule| {
            let ports = rule["ports"].as_array().expect("ports").clone();
            ports.into_iter().map(|port| port["port"].as_u64().expect("a port")).collect()
        });
        ports.collect::<Vec<Vec<u64>>>()
    };
    assert_eq!(
        ports("everything"),
        [vec![53, 53], vec![9093, 9094], vec![443], vec![80], vec![80], vec![3128]]
    );
    assert_eq!(ports("msk"), [vec![53, 53], vec![9098], vec![443]]);
    assert_eq!(ports("minio"), [vec![53, 53], vec![9092], vec![9000], vec![80]]);
}

#[test]
fn a_spool_is_a_volume_of_the_sink_that_its_configuration_names() {
    needs_servers!();
    let parts = |objects: &Objects| {
        let spool = |list: &serde_json::Value| {
            let found =
                list.as_array().and_then(|list| list.iter().find(|it| it["name"] == "spool"));
            found.cloned()
        };
        let mount = spool(&objects.container()["volumeMounts"]);
        let request = objects.container()["resources"]["requests"]["ephemeral-storage"].clone();
        (spool(&objects.pod()["spec"]["volumes"]), mount, request)
    };
    let (volume, mount, request) = parts(&Objects::of("minimal", &[]));
    assert!(volume.is_none() && mount.is_none() && request.is_null());

    let objects = Objects::of("minimal", &["spool.enabled=true"]);
    let (volume, mount, request) = parts(&objects);
    assert_eq!(volume, Some(json!({ "name": "spool", "emptyDir": { "sizeLimit": "10Gi" } })));
    let path = "/var/spool/kafka-s3-sink";
    assert_eq!(mount, Some(json!({ "name": "spool", "mountPath": path })));
    assert_eq!(request, "10Gi");
    assert!(objects.toml().contains(&format!("spool_dir = \"{path}\"")), "{}", objects.toml());

    let values = [
        "spool.enabled=true",
        r#"config.memory.spool_dir="/mnt/spool""#,
        r#"spool.volume={"hostPath":{"path":"/mnt/disk"}}"#,
    ];
    let (volume, mount, request) = parts(&Objects::of("minimal", &values));
    assert_eq!(volume, Some(json!({ "name": "spool", "hostPath": { "path": "/mnt/disk" } })));
    assert_eq!(mount, Some(json!({ "name": "spool", "mountPath": "/mnt/spool" })));
    assert!(request.is_null());
}
