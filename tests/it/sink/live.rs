//! What an operator asks of a running daemon: to land what it holds, and to take up other settings.

use super::*;
use crate::support::workdir::{WorkDir, free_port};

const CONSUMED: &str = "kafka_s3_sink_consumed_records_total";
const RELOADS: &str = "kafka_s3_sink_config_reloads_total";
const REBALANCES: &str = "kafka_s3_sink_rebalances_total";

/// A configuration under which a daemon can be asked: a port that is known, and a token.
fn asked(config: SinkConfig, folder: &WorkDir, token: &str) -> SinkConfig {
    let file = folder.path().join("token");
    std::fs::write(&file, token).expect("the token");
    let port = free_port();
    config
        .set("rotation.max_age", NEVER)
        .set("http.listen", format!("127.0.0.1:{port}"))
        .set("http.token_file", file.to_str().expect("a path").to_owned())
}

#[test]
fn a_flush_lands_what_is_held_and_strangers_are_refused() {
    let Some(case) = Case::shared("e2e-flush", 4) else { return };
    let folder = WorkDir::new("flush");
    let config = asked(case.config(), &folder, "s3cret\n");
    let expected = case.produce(2000);
    let mut sink = Sink::run(&config);
    sink.wait_ready(PATIENCE);
    wait_read(&mut sink, 2000);
    assert_eq!(case.objects(), [], "nothing is due yet");

    std::fs::write(folder.path().join("token"), "wrong").expect("the token");
    let (code, _, errors) = sink.ask(&["flush"]);
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("401"), "{errors}");
    assert_eq!(case.objects(), [], "a stranger moves nothing");

    std::fs::write(folder.path().join("token"), "s3cret").expect("the token");
    let (code, _, errors) = sink.ask(&["flush", "--topic", "another", "--wait", "5s"]);
    assert_eq!((code, errors.contains("of a topic \"another\"")), (Some(7), true), "{errors}");
    for odd in ["a/b", "", "e2e-flush?x=1", "a b", ".."] {
        let (code, _, errors) = sink.ask(&["flush", "--topic", odd]);
        assert_eq!((code, errors.contains("no topic's name")), (Some(2), true), "{errors}");
    }
    assert_eq!(case.objects(), [], "another topic's flush");
    let (code, text, errors) = sink.ask(&["flush", "--topic", &case.topic, "--wait"]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(text.starts_with("landed: what 4 Kafka partitions held"), "{text}");
    // The command waited for the commits too.
    case.assert_exact(&expected);
    let (code, text, _) = sink.ask(&["flush", "--wait"]);
    assert_eq!(
        (code, text.starts_with("landed: what 0 Kafka partitions")),
        (Some(0), true),
        "{text}"
    );

    assert_eq!(sink.ask(&["healthcheck"]).0, Some(0));
    assert_eq!(sink.ask(&["healthcheck", "--ready"]).0, Some(0));
    sink.sigterm();
    sink.wait_success(PATIENCE);
    let (code, _, errors) = sink.ask(&["flush"]);
    assert_eq!(code, Some(5), "{errors}");
    assert_eq!(sink.ask(&["healthcheck"]).0, Some(5));
}

/// The metric may count what the status does not show yet.
fn wait_read(sink: &mut Sink, records: u64) {
    sink.wait_for_metric(CONSUMED, records as f64, PATIENCE);
}

#[test]
fn a_flush_that_cannot_land_says_what_waits_and_without_a_token_nobody_may() {
    let Some(minio) = Minio::start() else { return };
    let broker = Broker::shared_v4();
    broker.create_topic("e2e-flush-waits", 1, &[]);
    let case = Case::at(broker, &minio, "e2e-flush-waits", 1);
    let folder = WorkDir::new("flush");
    let config = asked(case.config(), &folder, "s3cret\n");
    let expected = case.produce(500);
    let mut sink = Sink::run(&config);
    wait_read(&mut sink, 500);
    minio.freeze();
    let (code, _, errors) = sink.ask(&["flush", "--wait", "1s"]);
    minio.thaw();
    assert_eq!(code, Some(3), "{errors}");
    assert!(errors.contains("e2e-flush-waits-0: not landed up to offset 500"), "{errors}");
    // It was asked for, so it lands without being asked again.
    case.wait_committed(&mut sink);
    case.assert_exact(&expected);
    drop(sink);

    let open = Sink::run(&case.config().set("http.listen", format!("127.0.0.1:{}", free_port())));
    let deadline = Instant::now() + PATIENCE;
    while open.get("/livez").is_none() {
        assert!(Instant::now() < deadline, "{}", open.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    let (code, _, errors) = open.ask(&["flush"]);
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("http.token_file"), "{errors}");
}

#[test]
fn sighup_takes_up_limits_topics_and_level_without_leaving_the_group() {
    let Some(case) = Case::shared("e2e-hup", 4) else { return };
    takes_up(&case, &case.config());
}

#[test]
fn sighup_with_kip_848() {
    let Some(case) = Case::shared("e2e-hup-848", 4) else { return };
    takes_up(&case, &case.config_848());
}

#[test]
fn sighup_with_the_eager_protocol() {
    let Some(case) = Case::shared("e2e-hup-eager", 4) else { return };
    takes_up(&case, &case.config().set("kafka.assignor", "eager"));
}

fn takes_up(case: &Case<'_>, config: &SinkConfig) {
    let second = format!("{}-second", case.topic);
    case.broker.create_topic(&second, 2, &[]);
    let first = case.topic.clone();
    let config = config.clone().set("rotation.max_age", NEVER);
    let mut expected = case.produce(1000);
    let mut sink = Sink::run(&config);
    wait_read(&mut sink, 1000);
    let config = config.set("rotation.max_age", "1s");
    takes_up_a_limit(case, &mut sink, &config);

    // A topic comes, with a layout of its own, and the log tells details.
    let config = config
        .set("kafka.topics", vec![first.clone(), second.clone()])
        .set(&format!("topic.{second}.layout.partition_by"), vec!["dt".to_owned()])
        .set("log.level", "debug");
    sink.reload(&config);
    let bulk = Bulk { size: 300, ..Bulk::new(&second, 2, 1000) };
    let of_second = case.broker.produce_many(&bulk);
    let next = case.bulk(1000).next();
    expected = expected.and(case.broker.produce_many(&next));
    case.wait_committed(&mut sink);
    let ends = |partition| case.broker.log_bounds(&second, partition).1;
    let held = |partition| case.broker.committed(&case.group(), &second, partition).offset;
    case.wait_until(&mut sink, "the second topic's ends", || {
        (0..2).all(|partition| held(partition) == Some(ends(partition)))
    });
    sink.wait_for_log("batch ended", PATIENCE);
    let keys = case.bucket.list(&format!("raw/{second}/"));
    assert!(!keys.is_empty() && keys.iter().all(|it| !it.key.contains("hour=")), "{keys:?}");

    // A wrong file changes nothing, and says what is wrong; what needs a restart is named.
    sink.reload(&config.clone().set("rotation.max_age", "soon"));
    sink.wait_for_log("SIGHUP: nothing is changed", PATIENCE);
    sink.reload(&config.clone().set("layout.prefix", "other").set("s3.max_concurrent_uploads", 3));
    let line = sink.wait_for_log("as before until a restart", PATIENCE);
    assert!(line.contains("layout.prefix") && line.contains("s3.max_concurrent_uploads"), "{line}");

    // The first topic goes: it is given back, and what it gets meanwhile waits.
    let config = config.set("kafka.topics", vec![second.clone()]);
    sink.reload(&config);
    wait_given_back(&sink, &case.topic);
    expected = expected.and(case.broker.produce_many(&next.next()));
    let config = config.set("kafka.topics", vec![first, second.clone()]);
    sink.reload(&config);
    case.wait_committed(&mut sink);
    assert!(!sink.log().contains("left the group"), "{}", sink.log());
    let reloads = sink.metrics();
    let counted = |result: &str| reloads[&format!("{RELOADS}{{result=\"{result}\"}}")];
    assert_eq!((counted("done"), counted("refused")), (5.0, 1.0));
    sink.sigterm();
    sink.wait_success(PATIENCE);
    case.assert_exact(&expected);
    case.bucket.read(&Reading::of(&second), &of_second).assert_exact();
}

/// What is open lands by it, and the group sees nothing.
fn takes_up_a_limit(case: &Case<'_>, sink: &mut Sink, config: &SinkConfig) {
    let group = |sink: &Sink| (case.broker.members(&case.group()), sink.metric(REBALANCES));
    let before = group(sink);
    assert_eq!(before.0.len(), 1, "{before:?}");
    assert!(before.1 > 0.0, "{before:?}");
    sink.reload(config);
    case.wait_committed(sink);
    sink.wait_for_log(r#"SIGHUP: rotation.max_age: "1h" -> "1s""#, PATIENCE);
    assert!(!sink.log().contains("batch ended"), "no details yet");
    assert_eq!(group(sink), before, "{}", sink.log());
}

#[test]
fn what_is_right_in_a_wrong_file_is_not_taken_up() {
    let Some(case) = Case::shared("e2e-hup-wrong", 2) else { return };
    let config = case.config().set("rotation.max_age", NEVER);
    let expected = case.produce(1000);
    let mut sink = Sink::run(&config);
    wait_read(&mut sink, 1000);
    let right = config.set("rotation.max_age", "1s").set("log.level", "debug");
    // The one is refused by the program, the other by librdkafka: its expressions do not count so far.
    let topics = vec![case.topic.clone(), "^x{40000}".to_owned()];
    let wrong: [(&str, toml::Value); 2] =
        [("rotation.max_records", "many".into()), ("kafka.topics", topics.into())];
    for ((key, value), told) in wrong.into_iter().zip(1..) {
        sink.reload(&right.clone().set(key, value));
        sink.wait_for_metric(RELOADS, f64::from(told), PATIENCE);
        // Longer than the age that must not be in force.
        std::thread::sleep(Duration::from_secs(4));
        assert_eq!(case.objects(), [], "{key}: {}", sink.log());
        assert!(!sink.log().contains(" DEBUG "), "{key}: {}", sink.log());
    }
    assert_eq!(sink.log().matches("SIGHUP: nothing is changed").count(), 2, "{}", sink.log());
    sink.reload(&right);
    case.wait_committed(&mut sink);
    assert!(sink.log().contains(" DEBUG "), "it would show");
    case.assert_exact(&expected);
}

fn wait_given_back(sink: &Sink, topic: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = sink.get("/status").map(|(_, body)| body).unwrap_or_default();
        let status: Value = serde_json::from_str(&status).unwrap_or_default();
        let held = status["kafka_partitions"].as_array().expect("a list");
        if !held.is_empty() && held.iter().all(|each| each["topic"] != topic) {
            return;
        }
        assert!(Instant::now() < deadline, "{topic} is held: {}", sink.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}
