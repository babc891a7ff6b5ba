//! The other forms that `ddl` prints, and the table of the project's own stack: they give what
//! Athena's form gives.

use serde_json::{Value, json};

use super::lake::{BUCKET, Lake, ORDERS, ORDERS_COUNT, STRAY, STRAYS, TOPICS};

const TOPIC: &str = TOPICS[0];

/// Every row of both tables, as in the form for Athena.
#[track_caller]
fn assert_whole(lake: &Lake, database: &str) {
    for (table, usable) in [("athena_gzip", true), ("athena_gzip_unusable_time", false)] {
        let query = format!("SELECT * FROM {table} ORDER BY id");
        let found = lake.athena.trino.rows(database, &query);
        assert!(found == lake.rows(usable, true), "{table}: {found:#}");
    }
}

#[test]
fn glue_takes_what_is_printed_for_it() {
    let Some(lake) = Lake::shared() else { return };
    lake.athena.create_database("by_glue");
    let (text, _) = lake.ddl(TOPIC, &["--format", "glue"]);
    let tables: Vec<Value> = serde_json::Deserializer::from_str(&text)
        .into_iter()
        .collect::<Result<_, _>>()
        .expect("a document for each table");
    for table in tables {
        let params = json!({"DatabaseName": "by_glue", "TableInput": table});
        lake.athena.call("glue", "create_table", params);
    }
    assert_whole(lake, "by_glue");
}

#[test]
fn a_stack_takes_what_is_printed_for_it() {
    let Some(lake) = Lake::shared() else { return };
    lake.athena.create_database("by_stack");
    let args = ["--format", "cloudformation", "--database", "by_stack"];
    let (text, _) = lake.ddl(TOPIC, &args);
    lake.athena.deploy("tables", &text, &[]);
    assert_whole(lake, "by_stack");
}

/// The stack of `deploy/cloudformation` makes its bucket on the stand-in for AWS, and Trino reads
/// the one of the same name that the sink wrote to.
#[test]
fn the_stack_of_the_project_has_a_table_over_the_sample_events() {
    const DATABASE: &str = "stack";
    let Some(lake) = Lake::shared() else { return };
    let choice = [
        ("KafkaMode", "none"),
        ("SinkPlacement", "none"),
        ("NamedQueries", "no"),
        ("CatalogMode", "projection"),
        ("ProjectionFrom", &*lake.day(0)),
        ("BucketName", BUCKET),
        ("DatabaseName", DATABASE),
        ("SecondTopic", STRAYS),
    ];
    lake.athena.deploy("pipeline", &crate::deploy::template(), &choice);
    let mut table = lake.athena.table(DATABASE, ORDERS);
    assert_counted(lake, DATABASE, &table);
    assert_strays_are_found(lake, DATABASE);
    // The stack's other choice; a second stack could not have the same bucket.
    table["StorageDescriptor"]["SerdeInfo"]["SerializationLibrary"] =
        "org.apache.hive.hcatalog.data.JsonSerDe".into();
    let update = json!({"DatabaseName": DATABASE, "TableInput": table});
    lake.athena.call("glue", "update_table", update);
    assert_counted(lake, DATABASE, &table);
}

/// Records without a usable timestamp are in the table for them, and in no other.
#[track_caller]
fn assert_strays_are_found(lake: &Lake, database: &str) {
    let sums = |table: &str| {
        let query = format!(
            "SELECT count(id), sum(sequence), sum(amount), count(user.id), min(dt), max(hour) \
             FROM {table}"
        );
        lake.athena.trino.rows(database, &query)
    };
    let (table, unusable) = ("athena_strays", "athena_strays_unusable_time");
    let [lost, all] = STRAY;
    let found = |ids: std::ops::Range<i64>, dt: &str| {
        let count = ids.end - ids.start;
        json!([[count, ids.sum::<i64>(), 1.5 * count as f64, count, dt, "00"]])
    };
    assert_eq!(sums(unusable), found(0..lost, "1970-01-01"));
    assert_eq!(sums(table), found(lost..all, &lake.day(0)));
    // The control: with another day in its projection it finds nothing.
    let mut elsewhere = lake.athena.table(database, unusable);
    elsewhere["Name"] = "elsewhere".into();
    elsewhere["Parameters"]["projection.dt.values"] = "1970-01-02".into();
    let made = json!({"DatabaseName": database, "TableInput": elsewhere});
    lake.athena.call("glue", "create_table", made);
    assert_eq!(sums("elsewhere"), json!([[0, null, null, 0, null, null]]));
}

#[track_caller]
fn assert_counted(lake: &Lake, database: &str, table: &Value) {
    let columns = table["StorageDescriptor"]["Columns"].as_array().expect("columns");
    let count = |column: &Value| match column["Name"].as_str().expect("a name") {
        // An event may be without one.
        "note" => "count_if(note IS NULL) + count(note)".to_owned(),
        name => format!("count(\"{name}\")"),
    };
    let counts: Vec<_> = columns.iter().map(count).collect();
    let more = "count(DISTINCT id), count(user.device.system), count(items[1].sku), sum(sequence)";
    let query = format!("SELECT {}, {more} FROM {ORDERS}", counts.join(", "));
    let found = lake.athena.trino.rows(database, &query);
    let mut wanted = vec![ORDERS_COUNT; counts.len() + 3];
    wanted.push(ORDERS_COUNT * (ORDERS_COUNT - 1) / 2);
    assert_eq!(found, json!([wanted]), "{query}");
}
