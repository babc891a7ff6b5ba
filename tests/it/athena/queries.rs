//! The queries of `deploy/athena`, on the table that `ddl` prints and on one as a crawler makes it:
//! what they tell is what the objects hold.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use super::lake::{Lake, ORDERS, ORDERS_COUNT, at};

/// An event as it stands in the bucket.
struct Event {
    key: String,
    dt: String,
    hour: String,
    line: Value,
}

impl Event {
    fn kafka(&self, member: &str) -> i64 {
        self.line["_kafka"][member].as_i64().expect("a number")
    }
}

fn events(lake: &Lake) -> Vec<Event> {
    let keys = lake.bucket.list(&format!("raw/{ORDERS}/"));
    let of_key = keys.iter().flat_map(|listed| {
        let part = |name: &str| {
            let (_, rest) = listed.key.split_once(name).expect("a Hive key");
            rest.split('/').next().unwrap_or_default().to_owned()
        };
        let (dt, hour) = (part("/dt="), part("/hour="));
        let lines = lake.bucket.lines(&listed.key).into_iter();
        lines.map(move |line| Event {
            key: listed.key.clone(),
            dt: dt.clone(),
            hour: hour.clone(),
            line: serde_json::from_str(&line).expect("JSON"),
        })
    });
    of_key.collect()
}

/// Makes the table both ways, under the same name.
fn tables(lake: &Lake, prefix: &str, events: &[Event]) -> [String; 2] {
    let [projected, crawled] = ["projected", "crawled"].map(|kind| format!("{prefix}_{kind}"));
    lake.athena.create_database(&projected);
    lake.athena.create_database(&crawled);
    let (text, _) = lake.ddl(ORDERS, &["--database", &projected]);
    lake.athena.run(&text.replace("/raw/orders/", &format!("/{prefix}/orders/")));
    let mut table = lake.athena.table(&projected, ORDERS);
    // A crawler knows no projection, and registers each Hive partition that it finds.
    table["Parameters"] = json!({"classification": "json", "compressionType": "gzip"});
    let storage = table["StorageDescriptor"].clone();
    let table = json!({"DatabaseName": crawled, "TableInput": table});
    lake.athena.call("glue", "create_table", table);
    let places: BTreeSet<_> = events.iter().map(|event| (&event.dt, &event.hour)).collect();
    let location = storage["Location"].as_str().expect("a location").trim_end_matches('/');
    for (dt, hour) in places {
        let mut storage = storage.clone();
        storage["Location"] = format!("{location}/dt={dt}/hour={hour}/").into();
        let input = json!({"Values": [dt, hour], "StorageDescriptor": storage});
        let partition =
            json!({"DatabaseName": crawled, "TableName": ORDERS, "PartitionInput": input});
        lake.athena.call("glue", "create_partition", partition);
    }
    [projected, crawled]
}

/// What a query gives for each group of events.
fn grouped<K: Ord>(
    events: &[&Event],
    key: impl Fn(&Event) -> K,
    row: impl Fn(&K, &[&Event]) -> Value,
) -> Vec<Value> {
    let mut groups: BTreeMap<K, Vec<&Event>> = BTreeMap::new();
    for event in events {
        groups.entry(key(event)).or_default().push(event);
    }
    groups.iter().map(|(key, events)| row(key, events)).collect()
}

fn objects(events: &[&Event]) -> BTreeMap<String, usize> {
    let mut objects = BTreeMap::new();
    for event in events {
        *objects.entry(event.key.clone()).or_default() += 1;
    }
    objects
}

fn newest_rows(lake: &Lake, recent: &[&Event]) -> Vec<Value> {
    grouped(
        recent,
        |event| event.kafka("partition"),
        |partition, events| {
            let last = events.iter().map(|event| event.kafka("offset")).max();
            let newest = events.iter().max_by_key(|event| event.kafka("timestamp")).expect("one");
            let time = at(newest.kafka("timestamp"), "%Y-%m-%d %H:%M:%S%.3f UTC");
            json!([partition, last, time, format!("s3://{}/{}", lake.bucket.name(), newest.key)])
        },
    )
}

fn gap_rows(events: &[&Event]) -> Vec<Value> {
    grouped(
        events,
        |event| event.kafka("partition"),
        |partition, events| {
            let offsets = events.iter().map(|event| event.kafka("offset"));
            let last = offsets.clone().max().expect("one");
            assert_eq!((offsets.min(), last + 1), (Some(0), events.len() as i64));
            json!([partition, 0, last, events.len(), 0, 0])
        },
    )
}

/// Amounts are of two digits, but for what their sum in another order leaves.
fn cents(amount: f64) -> i64 {
    (amount * 100.0).round() as i64
}

fn country_rows(recent: &[&Event]) -> Vec<Value> {
    let mut rows = grouped(
        recent,
        |event| event.line["country"].to_string(),
        |_, events| {
            let amounts =
                events.iter().map(|event| event.line["amount"].as_f64().expect("a number"));
            json!([events[0].line["country"], events.len(), cents(amounts.sum())])
        },
    );
    rows.sort_by_key(|row| std::cmp::Reverse(row[1].as_i64()));
    rows.truncate(10);
    rows
}

fn object_rows(events: &[&Event]) -> Vec<Value> {
    let mut rows = grouped(
        events,
        |event| event.dt.clone(),
        |dt, events| {
            let objects = objects(events);
            let average = events.len() as f64 / objects.len() as f64;
            let average = (average * 10.0).round() / 10.0;
            json!([dt, objects.len(), events.len(), average, objects.values().min(), objects.len()])
        },
    );
    rows.reverse();
    rows
}

fn volume_rows(recent: &[&Event]) -> Vec<Value> {
    grouped(
        recent,
        |event| event.kafka("partition"),
        |partition, events| json!([partition, events.len(), objects(events).len()]),
    )
}

/// What a query must give; what time or the order of sums decides is taken out of what it gave.
fn check(lake: &Lake, name: &str, mut found: Vec<Value>, events: &[Event], database: &str) {
    let all: Vec<&Event> = events.iter().collect();
    let recent: Vec<&Event> = events.iter().filter(|event| event.dt >= lake.day(1)).collect();
    let wanted = match name {
        "count_by_hour" => {
            let place = |event: &Event| (event.dt.clone(), event.hour.clone());
            let mut rows =
                grouped(&recent, place, |(dt, hour), events| json!([dt, hour, events.len()]));
            rows.reverse();
            rows
        }
        "freshest_event" => {
            for row in &mut found {
                let age = row.as_array_mut().expect("a row").remove(3);
                assert!((0..3 * 86_400).contains(&age.as_i64().expect("seconds")), "{age}");
            }
            newest_rows(lake, &recent)
        }
        "volume_by_kafka_partition" => {
            assert!(found.is_sorted_by_key(|row| std::cmp::Reverse(row[1].as_i64())));
            found.sort_by_key(|row| row[0].as_i64());
            volume_rows(&recent)
        }
        "gaps_and_duplicates" => gap_rows(&all),
        "top_countries" => {
            for row in &mut found {
                row[2] = json!(cents(row[2].as_f64().expect("an amount")));
            }
            country_rows(&recent)
        }
        "small_objects" => object_rows(&all),
        "view_orders_flat" => {
            found = view_sums(lake, database);
            let times = events.iter().map(|event| event.kafka("timestamp") % 1_000).sum::<i64>();
            vec![json!([ORDERS_COUNT, ORDERS_COUNT, ORDERS_COUNT, times])]
        }
        _ => panic!("nobody says what {name} must give"),
    };
    assert_eq!(found, wanted, "{name} in {database}");
}

/// Trino made the view and has seen to its types, but does not find views in the stand-in's Glue:
/// so what stands in the view is read.
fn view_sums(lake: &Lake, database: &str) -> Vec<Value> {
    let text = &queries()["view_orders_flat"];
    let (_, select) = text.split_once("VIEW orders_flat AS").expect("a view");
    let query = format!(
        "SELECT count(id), count(device_system), count(first_item), sum(millisecond(event_time)) \
         FROM ({select})"
    );
    lake.athena.trino.rows(database, &query).as_array().cloned().expect("rows")
}

fn queries() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/athena");
    let files = std::fs::read_dir(folder).expect("the folder").map(|file| file.expect("a file"));
    let name = |file: &std::fs::DirEntry| {
        file.file_name().to_str()?.strip_suffix(".sql").map(str::to_owned)
    };
    let text = |file: &std::fs::DirEntry| std::fs::read_to_string(file.path()).expect("text");
    files.filter_map(|file| Some((name(&file)?, text(&file)))).collect()
}

#[test]
fn each_query_tells_what_the_objects_hold() {
    let Some(lake) = Lake::shared() else { return };
    let (events, queries) = (events(lake), queries());
    assert_eq!(events.len() as u64, ORDERS_COUNT);
    for database in tables(lake, "raw", &events) {
        for (name, query) in &queries {
            assert!(query.starts_with("-- "), "{name} says what it tells");
            let found = lake.athena.trino.rows(&database, query);
            check(lake, name, found.as_array().cloned().expect("rows"), &events, &database);
        }
    }
}

#[test]
fn a_lost_object_is_a_gap_and_one_that_is_there_twice_is_duplicates() {
    let Some(lake) = Lake::shared() else { return };
    let events = events(lake);
    let mut of_one: Vec<&Event> =
        events.iter().filter(|event| event.kafka("partition") == 0).collect();
    of_one.sort_by_key(|event| event.kafka("offset"));
    let edges = [of_one.first(), of_one.last()].map(|event| event.map(|event| &event.key));
    let inner = objects(&of_one).into_iter().filter(|(key, _)| !edges.contains(&Some(key)));
    let [lost, doubled]: [_; 2] = inner.take(2).collect::<Vec<_>>().try_into().expect("two");
    for listed in lake.bucket.list("raw/orders/") {
        let mut object = lake.bucket.get(&listed.key);
        object.key = listed.key.replace("raw/", "flawed/");
        if listed.key != lost.0 {
            lake.bucket.put(&object);
        }
        if listed.key == doubled.0 {
            object.key = object.key.replace(".json.gz", "-again.json.gz");
            lake.bucket.put(&object);
        }
    }
    for database in tables(lake, "flawed", &events) {
        let found = lake.athena.trino.rows(&database, &queries()["gaps_and_duplicates"]);
        assert_eq!([&found[0][4], &found[0][5]], [&json!(doubled.1), &json!(lost.1)], "{found}");
        assert_eq!([&found[1][4], &found[1][5]], [&json!(0), &json!(0)], "{found}");
    }
}
