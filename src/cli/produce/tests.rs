use clap::Parser;
use secrecy::ExposeSecret as _;

use super::args::parse_share;
use super::*;
use crate::demo::broker::{Broker, BrokerOptions};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: ProduceArgs,
}

fn parse(line: &str) -> Result<ProduceArgs, clap::Error> {
    Line::try_parse_from(["produce"].into_iter().chain(line.split_whitespace())).map(|it| it.args)
}

fn args(more: &str) -> ProduceArgs {
    parse(&format!("--bootstrap-servers 127.0.0.1:9 --topic orders {more}")).unwrap()
}

fn refused(line: &str) -> String {
    parse(line).err().map(|error| error.to_string()).expect("it was taken")
}

#[test]
fn wishes_become_events_that_end_now() {
    let shape =
        args("--count 3600 --event-time-span 1h --size 2KiB --late-share 5%").shape(7_200_000);
    assert_eq!((shape.start_ms, shape.step_us), (3_600_000, 1_000_000));
    assert_eq!((shape.size, shape.late_share), (2_048, 0.05));
    assert_eq!(shape.late_by_ms, 48 * 3_600_000);
    let last = Events::new(1, args("--count 3600").shape(7_200_000)).take(3_600).last().unwrap();
    assert_eq!(last.timestamp_ms, 7_199_000);
}

#[test]
fn shares_are_parts_of_one_whole() {
    args("--tombstones 40% --invalid 60%").shares().unwrap();
    let said = args("--tombstones 50% --invalid 0.6").shares().unwrap_err();
    assert!(said.contains("--tombstones 0.5") && said.contains("more than all"), "{said}");
}

#[test]
fn without_a_count_events_go_on_from_now_at_their_rate() {
    let shape = args("--count 0 --rate 250").shape(5_000);
    assert_eq!((shape.start_ms, shape.step_us), (5_000, 4_000));
}

#[test]
fn what_makes_no_sense_is_refused_with_a_reason() {
    for (more, reason) in [
        ("--late-share 1.5", "from 0 to 1"),
        ("--tombstones=-1%", "from 0 to 1"),
        ("--event-time-span 5", "no unit"),
        ("--size much", "size"),
        ("--compression brotli", "lz4"),
        ("--partitions 3", "--create"),
        ("--create --partitions 0", "1.."),
    ] {
        let line = format!("--bootstrap-servers a:1 --topic t {more}");
        let said = refused(&line);
        assert!(said.contains(reason), "{more}: {said}");
    }
    assert!(refused("--topic t").contains("--bootstrap-servers"));
}

#[test]
fn shares_are_read_both_ways() {
    assert_eq!(parse_share("0.25"), Ok(0.25));
    assert_eq!(parse_share("25 %"), Ok(0.25));
    assert!(parse_share("NaN").is_err());
}

#[test]
fn large_values_raise_the_producers_limit_and_the_codec_is_passed_on() {
    let properties = args("--size 10MiB --compression zstd").target().unwrap().properties;
    let of = |key: &str| properties.get(key).map(|it| it.expose_secret().to_owned());
    assert!(of("message.max.bytes").unwrap().parse::<u64>().unwrap() > 10 << 20);
    assert_eq!(of("compression.codec").as_deref(), Some("zstd"));
    let small = args("").target().unwrap().properties;
    assert!(!small.contains_key("message.max.bytes") && !small.contains_key("compression.codec"));
}

#[test]
fn the_pace_is_kept_over_a_second_and_never_sleeps_long() {
    let begun = Instant::now();
    let mut pace = Pace::new(1_000, begun);
    let mut now = begun;
    for _ in 0..1_000 {
        while let Some(pause) = pace.pause(now) {
            assert!(pause <= Duration::from_millis(100));
            now += pause;
        }
        pace.count();
    }
    let passed = now - begun;
    assert!(
        passed >= Duration::from_millis(998) && passed <= Duration::from_millis(1_001),
        "{passed:?}"
    );
    let mut slow = Pace::new(1, begun);
    slow.count();
    assert_eq!(slow.pause(begun), Some(Duration::from_millis(100)));
    let mut free = Pace::new(0, begun);
    free.count();
    assert_eq!(free.pause(begun), None);
}

#[test]
fn numbers_are_grouped() {
    let shown = [0, 999, 1_000, 12_345_678].map(progress::grouped);
    assert_eq!(shown, ["0", "999", "1,000", "12,345,678"]);
}

#[test]
fn the_line_and_the_summary_say_what_went_wrong_only_if_something_did() {
    let mut tally =
        Tally { sent: 2_000, delivered: 2_000, value_bytes: 1_000_000, ..Tally::default() };
    let second = Duration::from_secs(1);
    assert_eq!(progress::line(&tally, 5_000, second), "2,000 of 5,000 records delivered, 2,000/s");
    let summary = progress::summary(&args("--first-sequence 10"), &tally, second);
    let wanted = "2,000 records (1.0 MB of values) delivered to orders in 1.0 s, 2,000/s\n  \
        sequence numbers 10 to 2009";
    assert_eq!(summary, wanted);
    tally.failed = 3;
    assert!(progress::line(&tally, 0, second).ends_with("2,000/s, 3 not delivered"));
    assert!(progress::summary(&args(""), &tally, second).contains("3 not delivered"));
}

fn produce_to(broker: &Broker, more: &str, stop: bool) -> anyhow::Result<Tally> {
    let servers = broker.bootstrap_servers();
    let args = parse(&format!("--bootstrap-servers {servers} --topic orders {more}")).unwrap();
    let target = args.target().unwrap();
    let producer = SampleProducer::connect(&target.bootstrap_servers, &target.properties).unwrap();
    let runtime = Runtime::new().unwrap();
    prepare_topic(&args, &target, &producer, &runtime)?;
    let events = Events::new(args.seed, args.shape(0));
    send_all(&args, &producer, events, &AtomicBool::new(stop))
}

#[test]
fn all_that_is_asked_for_is_delivered() {
    let broker = Broker::start(BrokerOptions::default()).unwrap();
    broker.create_topic("orders", 6).unwrap();
    let tally = produce_to(&broker, "--count 3000 --tombstones 10% --invalid 10%", false).unwrap();
    assert_eq!((tally.sent, tally.delivered, tally.failed), (3_000, 3_000, 0));
    assert!(tally.tombstones > 200 && tally.invalid > 200);
}

#[test]
fn a_rate_is_kept() {
    let broker = Broker::start(BrokerOptions::default()).unwrap();
    broker.create_topic("orders", 1).unwrap();
    let begun = Instant::now();
    produce_to(&broker, "--count 100 --rate 200", false).unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(490), "{:?}", begun.elapsed());
}

#[test]
fn a_signal_ends_it_in_order() {
    let broker = Broker::start(BrokerOptions::default()).unwrap();
    broker.create_topic("orders", 1).unwrap();
    let tally = produce_to(&broker, "--count 0", true).unwrap();
    assert_eq!(tally, Tally::default());
}

#[test]
fn a_missing_topic_is_an_error_that_names_the_way_out() {
    let broker = Broker::start(BrokerOptions::default()).unwrap();
    let said = produce_to(&broker, "--count 1", false).unwrap_err().to_string();
    assert!(said.contains("no topic orders") && said.contains("--create"), "{said}");
}

#[test]
fn a_broker_that_is_not_there_is_said_within_a_bounded_time() {
    let args = args("--count 1");
    let target = args.target().unwrap();
    let producer = SampleProducer::connect(&target.bootstrap_servers, &target.properties).unwrap();
    let begun = Instant::now();
    let failed = prepare_topic(&args, &target, &producer, &Runtime::new().unwrap()).unwrap_err();
    assert!(failed.to_string().contains("no broker answered at 127.0.0.1:9"), "{failed}");
    assert!(begun.elapsed() < REACH + Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn records_that_nobody_takes_are_counted_and_end_the_run() {
    let broker = Broker::start(BrokerOptions::default()).unwrap();
    broker.create_topic("orders", 1).unwrap();
    let servers = broker.bootstrap_servers();
    let args = parse(&format!("--bootstrap-servers {servers} --topic orders --count 500")).unwrap();
    let mut properties = args.target().unwrap().properties;
    properties.insert("message.timeout.ms".to_owned(), "500".to_owned().into());
    let producer = SampleProducer::connect(servers, &properties).unwrap();
    broker.down().unwrap();
    let events = Events::new(1, args.shape(0));
    let failed = send_all(&args, &producer, events, &AtomicBool::new(false)).unwrap_err();
    assert!(failed.to_string().contains("take no record"), "{failed}");
    assert!(producer.failed() > 0);
}
