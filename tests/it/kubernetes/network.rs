//! Who is meant, who is let in, and what is let out.

use serde_json::json;

use super::Objects;
use crate::needs_servers;

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
    let ports = |name: &str, values: &[&str]| {
        let objects = Objects::of(name, values);
        let rules = objects.one("NetworkPolicy")["spec"]["egress"].as_array().cloned();
        let ports = rules.expect("rules").into_iter().map(|rule| {
            let ports = rule["ports"].as_array().expect("ports").clone();
            ports.into_iter().map(|port| port["port"].as_u64().expect("a port")).collect()
        });
        ports.collect::<Vec<Vec<u64>>>()
    };
    assert_eq!(
        ports("everything", &[]),
        [vec![53, 53], vec![9093, 9094], vec![443], vec![80], vec![80], vec![3128]]
    );
    assert_eq!(ports("msk", &[]), [vec![53, 53], vec![9098], vec![443]]);
    assert_eq!(ports("minio", &[]), [vec![53, 53], vec![9092], vec![9000], vec![80]]);
    // A role's credentials come from AWS, whatever store it is.
    assert_eq!(ports("minio", &["storeCredentials.name=\"\""])[2], [9000, 443]);
    let endpoint = r#"config.s3.endpoint="https://vpce.example.com""#;
    assert_eq!(ports("msk", &[endpoint])[2], [443]);
    let brokers = r#"config.kafka.bootstrap_servers="broker1:9093, [fd00::1]:9094,b:9093""#;
    assert_eq!(ports("minio", &[brokers])[1], [9093, 9094]);
}

#[test]
fn those_who_scrape_are_let_in_and_nobody_else() {
    needs_servers!();
    let ingress = |values: &[&str]| {
        Objects::of("minio", values).one("NetworkPolicy")["spec"]["ingress"].clone()
    };
    let monitoring = json!({
        "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": "monitoring" } }
    });
    let port = json!({ "protocol": "TCP", "port": 9464 });
    assert_eq!(ingress(&[]), json!([{ "ports": [port], "from": [monitoring] }]));
    assert_eq!(ingress(&["networkPolicy.scrapers=[]", "podMonitor.enabled=false"]), json!([]));
}
