//! Every column of every row, with both SerDes, and what a wrong text would give.

use serde_json::{Value, json};

use super::lake::{BUCKET, Lake, ODD, TOPICS, UNREAD};

/// What `ddl` prints, and the one who fails where OpenX gives what it can.
const SERDES: [(&str, &str); 2] = [
    ("openx", "org.openx.data.jsonserde.JsonSerDe"),
    ("hcatalog", "org.apache.hive.hcatalog.data.JsonSerDe"),
];

fn table_of(topic: &str) -> String {
    topic.replace(['.', '-'], "_")
}

#[test]
fn both_serdes_read_every_column_of_every_record() {
    let Some(lake) = Lake::shared() else { return };
    for (database, serde) in SERDES {
        lake.athena.create_database(database);
        for topic in TOPICS {
            let (text, _) = lake.ddl(topic, &["--database", database]);
            assert!(text.contains(SERDES[0].1));
            lake.athena.run(&text.replace(SERDES[0].1, serde));
            let all = |table: &str| {
                lake.athena.trino.rows(database, &format!("SELECT * FROM {table} ORDER BY id"))
            };
            let (table, envelope) = (table_of(topic), topic == TOPICS[0]);
            assert_rows(&all(&table), &lake.rows(true, envelope));
            let others = all(&format!("{table}_unusable_time"));
            assert_rows(&others, &lake.rows(false, envelope));
        }
    }
}

#[track_caller]
fn assert_rows(found: &Value, wanted: &Value) {
    let [found, wanted] = [found, wanted].map(|rows| rows.as_array().expect("rows"));
    for (found, wanted) in found.iter().zip(wanted) {
        assert_eq!(found, wanted);
    }
    assert_eq!(found.len(), wanted.len());
}

#[test]
fn odd_records_lose_nothing_with_open_x() {
    let Some(lake) = Lake::shared() else { return };
    lake.athena.create_database("odd");
    let (text, warnings) = lake.ddl(ODD, &["--database", "odd"]);
    lake.athena.run(&text);
    for warning in ["name of a partition key", "only case tells apart"] {
        assert!(warnings.contains(warning), "{warnings}");
    }
    let columns = r#"a_b, any, "case", deep, dt_field, gr__e, user_id"#;
    let query = format!("SELECT {columns} FROM athena_odd ORDER BY dt_field");
    let wanted = json!([
        ["x", "1", 1, "{\"x y\":1}", "a", 1.0, 1],
        [null, "t", 2, "{\"x y\":2}", "b", 2.5, 2],
        [null, "{\"b\":[1,2]}", 3, null, "c", null, 3],
        [null, "true", 4, null, "d", null, 4],
    ]);
    assert_rows(&lake.athena.trino.rows("odd", &query), &wanted);
}

#[test]
fn the_bucket_tells_its_first_day() {
    let Some(lake) = Lake::shared() else { return };
    let since = |topic: &str| lake.ddl(topic, &["--since", "bucket"]);
    let first = format!("'projection.dt.range' = '{},NOW+1DAYS'", lake.day(0));
    let (text, warnings) = since(TOPICS[0]);
    assert!(text.contains(&first), "{text}");
    assert!(!warnings.contains("no day of the topic"), "{warnings}");
    let (text, warnings) = since(UNREAD);
    assert!(text.contains("'NOW-1YEARS,NOW+1DAYS'"), "{text}");
    assert!(warnings.contains("no day of the topic yet"), "{warnings}");
}

#[test]
fn a_text_that_does_not_fit_gives_nothing() {
    let Some(lake) = Lake::shared() else { return };
    lake.athena.create_database("wrong");
    let (text, _) = lake.ddl(TOPICS[1], &["--database", "wrong"]);
    let (table, _) = text.split_once(";\n").expect("two tables");
    let (range, template) = (format!("{},NOW+1DAYS", lake.day(0)), "hour=${hour}/");
    let query = |name: &str| {
        let day = lake.day(1);
        let query = format!("SELECT count(id) FROM {name} WHERE dt = '{day}' AND hour = '07'");
        lake.athena.trino.rows("wrong", &query)[0][0].clone()
    };
    for (name, right, wrong, rows) in [
        ("as_printed", "", "", 40),
        ("undigited", "'projection.hour.digits' = '2'", "'x' = 'y'", 0),
        ("elsewhere", &*range, "2001-01-01,2001-12-31", 0),
        ("switched_off", "'projection.enabled' = 'true'", "'projection.enabled' = 'false'", 0),
        ("misplaced", template, "hours=${hour}/", 0),
    ] {
        assert!(table.contains(right), "{right} in {table}");
        let text = if right.is_empty() { table.to_owned() } else { table.replace(right, wrong) };
        lake.athena.run(&text.replace("`athena_zstd`", &format!("`{name}`")));
        assert_eq!(query(name), rows, "{name}");
    }
}

/// The same from the store's side: which prefixes are listed, and which objects are read.
#[test]
fn only_the_places_that_are_asked_for_are_listed() {
    let Some(lake) = Lake::shared() else { return };
    lake.athena.create_database("listed");
    let (text, _) = lake.ddl(TOPICS[1], &["--database", "listed"]);
    let (from, to) = (format!("raw/{}/", TOPICS[1]), "listed/table/");
    let mut keys = Vec::new();
    for listed in lake.bucket.list(&from) {
        let mut object = lake.bucket.get(&listed.key);
        object.key = listed.key.replace(&from, to);
        lake.bucket.put(&object);
        keys.push(object.key);
    }
    lake.athena.run(&text.replace(&from, to));
    let asked = |filter: &str| {
        let query = format!("SELECT count(id) FROM athena_zstd WHERE {filter}");
        let rows = lake.athena.trino.rows("listed", &query);
        (rows[0][0].as_i64().expect("a count"), lake.athena.relay.take(BUCKET, to))
    };
    let place = |day: i64, hour: i64| format!("{to}dt={}/hour={hour:02}/", lake.day(day));
    let day = lake.day(1);
    let all_hours: Vec<_> = (0..24).map(|hour| place(1, hour)).collect();
    for (filter, rows, places) in [
        (format!("dt = '{day}' AND hour = '07'"), 40, vec![place(1, 7)]),
        (format!("dt = '{day}' AND hour IN ('00', '23')"), 80, vec![place(1, 0), place(1, 23)]),
        (format!("dt = '{day}'"), 120, all_hours),
        (format!("dt = '{}' AND hour = '07'", lake.day(9)), 0, vec![]),
        ("dt = '1970-01-01' AND hour = '00'".to_owned(), 0, vec![]),
    ] {
        let (count, asked) = asked(&filter);
        assert_eq!(count, rows, "{filter}");
        assert_eq!(asked.listed.keys().cloned().collect::<Vec<_>>(), places, "{filter}");
        let is_in = |key: &&String| places.iter().any(|place| key.starts_with(place));
        let wanted: Vec<_> = keys.iter().filter(is_in).cloned().collect();
        assert_eq!(asked.read.into_keys().collect::<Vec<_>>(), wanted, "{filter}");
        // A place that holds nothing is looked at once more.
        assert!(asked.listed.values().all(|count| *count <= 2), "{filter}: {:?}", asked.listed);
    }
    // The control: without a filter on its keys all of the projection is listed, all objects read.
    let (count, asked) = asked("id >= 0");
    assert_eq!((count, asked.read.len()), (360, keys.len() - lost(&keys)));
    assert!(asked.listed.len() >= 4 * 24, "{:?}", asked.listed);
}

/// How many of the objects hold records without a usable timestamp, which have a table of their own.
fn lost(keys: &[String]) -> usize {
    keys.iter().filter(|key| key.contains("dt=1970-01-01")).count()
}

/// An object that nobody can read fails each query that opens it, and no other.
#[test]
fn only_the_hours_that_are_asked_for_are_read() {
    let Some(lake) = Lake::shared() else { return };
    lake.athena.create_database("pruned");
    let (text, _) = lake.ddl(TOPICS[2], &["--database", "pruned"]);
    let (from, to) = (format!("raw/{}/", TOPICS[2]), "pruned/table/");
    for listed in lake.bucket.list(&from) {
        let mut object = lake.bucket.get(&listed.key);
        object.key = listed.key.replace(&from, to);
        lake.bucket.put(&object);
    }
    let mut broken = lake.bucket.get(&lake.bucket.list(to)[0].key);
    broken.key = format!("{to}dt={}/hour=09/broken.json.gz", lake.day(1));
    lake.bucket.put(&broken);
    lake.athena.run(&text.replace(&from, to));
    let count = |filter: &str| {
        let query = format!("SELECT count(id) FROM athena_plain WHERE {filter}");
        lake.athena.trino.ask("pruned", &query).map(|rows| rows[0][0].clone())
    };
    let day = lake.day(1);
    for (filter, rows) in [
        (format!("dt = '{day}' AND hour = '07'"), 40),
        (format!("dt = '{day}' AND hour IN ('00', '23')"), 80),
        (format!("dt <> '{day}'"), 240),
        (format!("dt > '{day}'"), 120),
        (format!("dt BETWEEN '{day}' AND '{day}' AND hour < '09'"), 80),
    ] {
        assert_eq!(count(&filter), Ok(json!(rows)), "{filter}");
    }
    for filter in [format!("dt = '{day}'"), "hour = '09'".to_owned(), "id = 1".to_owned()] {
        let error = count(&filter).expect_err(&filter);
        assert!(error.contains("broken.json.gz"), "{filter}: {error}");
    }
}
