use super::*;

const RACERS: usize = 32;

/// Puts all at once under one name and gives who won, and what the others were told.
async fn race(world: &World, key: &str) -> (Vec<usize>, Vec<(u16, String)>) {
    let racers = (0..RACERS).map(|number| {
        let body = format!("racer {number}").into_bytes();
        let put = world.put(key, &body).if_none_match("*").metadata("pin", number.to_string());
        tokio::spawn(put.customize().disable_payload_signing().send())
    });
    let (mut won, mut lost) = (Vec::new(), Vec::new());
    for (number, racer) in racers.collect::<Vec<_>>().into_iter().enumerate() {
        match racer.await.unwrap() {
            Ok(_) => won.push(number),
            refused => lost.push(refusal(refused)),
        }
    }
    (won, lost)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_conditional_puts_at_once_exactly_one_wins() {
    let world = world().await;
    for round in 0..4 {
        let key = format!("claims/{round}");
        let (won, lost) = race(&world, &key).await;
        let [winner] = won[..] else { panic!("won by {won:?}") };
        assert!(lost.iter().all(|it| *it == (412, "PreconditionFailed".to_owned())), "{lost:?}");
        // Bytes and metadata are the winner's, both.
        assert_eq!(world.get(&key).await, format!("racer {winner}").as_bytes());
        let head = world.client.head_object().bucket(BUCKET).key(&key).send().await.unwrap();
        assert_eq!(head.metadata().unwrap()["pin"], winner.to_string());
    }
    assert_eq!(world.files().len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_ignores_conditions_lets_all_of_them_win() {
    let world = world().await;
    world.store.faults().set_ignores_if_none_match(true);
    let (won, lost) = race(&world, "claims/0").await;
    assert_eq!((won.len(), lost.len()), (RACERS, 0));
    let head = world.client.head_object().bucket(BUCKET).key("claims/0").send().await.unwrap();
    let last = format!("racer {}", head.metadata().unwrap()["pin"]);
    assert_eq!(world.get("claims/0").await, last.as_bytes());
}

#[tokio::test]
async fn without_a_condition_the_last_one_stays() {
    let world = world().await;
    world.put("a", b"first").metadata("pin", "1").send().await.unwrap();
    world.put("a", b"second").send().await.unwrap();
    assert_eq!(world.get("a").await, b"second");
    let head = world.client.head_object().bucket(BUCKET).key("a").send().await.unwrap();
    assert!(head.metadata().is_none_or(|it| it.is_empty()));
}

#[tokio::test]
async fn conditions_that_are_not_known_are_refused() {
    let world = world().await;
    let put = world.put("a", b"x").if_match("\"tag\"").send().await;
    assert_eq!(refusal(put), (501, "NotImplemented".to_owned()));
    let put = world.put("a", b"x").if_none_match("\"tag\"").send().await;
    assert_eq!(refusal(put), (501, "NotImplemented".to_owned()));
}
