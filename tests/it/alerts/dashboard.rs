//! The dashboard, as a file; `live` asks its questions.

use std::collections::BTreeSet;

use serde_json::Value;

use super::file;

pub(super) const FILE: &str = "deploy/grafana/kafka-s3-sink.json";

fn dashboard() -> Value {
    serde_json::from_str(&file(FILE)).expect("JSON")
}

fn list<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    of[name].as_array().map_or(&[], Vec::as_slice)
}

/// The title of each panel with each of its expressions, the variables filled in.
pub(super) fn expressions() -> Vec<(String, String)> {
    let dashboard = dashboard();
    let mut found = Vec::new();
    for panel in list(&dashboard, "panels") {
        let title = panel["title"].as_str().expect("a title").to_owned();
        for target in list(panel, "targets") {
            found.push((title.clone(), filled(target["expr"].as_str().expect("an expression"))));
        }
    }
    found
}

/// The name of each variable with the series that it asks for, and the label that it takes of them.
pub(super) fn variables() -> Vec<(String, String, String)> {
    let dashboard = dashboard();
    let pattern = regex::Regex::new(r"^label_values\((.*), ([a-z]+)\)$").expect("a pattern");
    let queries = list(&dashboard["templating"], "list").iter().filter(|it| it["type"] == "query");
    let parts = queries.map(|variable| {
        let query = variable["query"]["query"].as_str().expect("a query");
        let found = pattern.captures(query).unwrap_or_else(|| panic!("{query}"));
        (variable["name"].to_string(), filled(&found[1]), found[2].to_owned())
    });
    parts.collect()
}

/// As Grafana fills it in for "all" in the last five minutes.
fn filled(expression: &str) -> String {
    let values = [
        ("$__rate_interval", "30s"),
        ("$__range", "5m"),
        ("$job", ".*"),
        ("$instance", ".*"),
        ("$topic", ".*"),
    ];
    let filled =
        values.iter().fold(expression.to_owned(), |text, (name, value)| text.replace(name, value));
    assert!(!filled.contains('$'), "an unknown variable: {filled}");
    filled
}

#[test]
fn grafana_finds_each_panel_in_a_place_of_its_own() {
    let dashboard = dashboard();
    let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
    for panel in list(&dashboard, "panels") {
        assert!(ids.insert(panel["id"].as_u64().expect("an id")), "{panel}");
        let place = |name: &str| panel["gridPos"][name].as_u64().expect("a place");
        assert!(place("x") + place("w") <= 24, "{panel}");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(cells.insert((x, y)), "two panels at {x},{y}: {}", panel["title"]);
            }
        }
    }
    assert!(dashboard["id"].is_null(), "an id would be another Grafana's");
    assert_eq!(dashboard["uid"], "kafka-s3-sink");
}

/// A dashboard that names somebody's data source shows nothing to anybody else.
#[test]
fn every_panel_asks_the_data_source_that_its_user_chose() {
    let dashboard = dashboard();
    let sources = list(&dashboard["templating"], "list");
    assert!(sources.iter().any(|it| it["type"] == "datasource" && it["name"] == "datasource"));
    for panel in list(&dashboard, "panels").iter().filter(|panel| panel["type"] != "row") {
        let targets = list(panel, "targets");
        assert!(!targets.is_empty(), "{panel}");
        assert!(!panel["description"].as_str().unwrap_or_default().is_empty(), "{panel}");
        for each in [panel].into_iter().chain(targets) {
            assert_eq!(each["datasource"]["uid"], "${datasource}", "{each}");
            assert_eq!(each["datasource"]["type"], "prometheus", "{each}");
        }
    }
    assert!(expressions().len() > 40);
    assert_eq!(variables().len(), 3);
}
