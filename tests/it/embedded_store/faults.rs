use std::time::{Duration, Instant};

use super::*;

#[tokio::test]
async fn before_the_effect_nothing_is_there() {
    let world = world().await;
    let faults = world.store.faults();
    for (fault, wanted) in [
        (Fault::SlowDown, (503, "SlowDown")),
        (Fault::InternalError, (500, "InternalError")),
        (Fault::Conflict, (409, "ConditionalRequestConflict")),
        (Fault::AccessDenied, (403, "AccessDenied")),
        (Fault::Full, (507, "XMinioStorageFull")),
    ] {
        faults.fail_next(RequestKind::PutObject, 1, When::Before, fault);
        let (status, code) = refusal(world.put("a", &[7; 300_000]).send().await);
        assert_eq!((status, code.as_str()), wanted);
        assert_eq!(world.files(), [""; 0]);
    }
    world.put("a", b"now").send().await.unwrap();
}

#[tokio::test]
async fn after_the_effect_the_object_is_there_and_the_client_does_not_know() {
    let world = world().await;
    let faults = world.store.faults();
    faults.fail_next(RequestKind::PutObject, 1, When::After, Fault::InternalError);
    let put = world.put("a", b"x").if_none_match("*").send().await;
    assert_eq!(refusal(put).0, 500);
    assert_eq!(world.get("a").await, b"x");
    // What the client sees when it tries again.
    let again = world.put("a", b"x").if_none_match("*").send().await;
    assert_eq!(refusal(again).0, 412);
}

#[tokio::test]
async fn a_cut_connection_has_no_answer() {
    let world = world().await;
    for (when, there) in [(When::Before, false), (When::After, true)] {
        world.store.faults().fail_next(RequestKind::PutObject, 1, when, Fault::Cut);
        let error = world.put("a", b"x").send().await.unwrap_err();
        assert!(matches!(error, SdkError::DispatchFailure(_)), "{error:?}");
        assert_eq!(world.files().len(), usize::from(there));
    }
    world.put("b", b"x").send().await.unwrap();
}

#[tokio::test]
async fn a_request_that_lingers_takes_effect_after_its_client_is_gone() {
    let world = world().await;
    let delay = Fault::Delay(Duration::from_millis(400));
    world.store.faults().fail_next(RequestKind::PutObject, 1, When::Before, delay);
    let put = world.put("a", b"late").send();
    assert!(tokio::time::timeout(Duration::from_millis(100), put).await.is_err());
    assert_eq!(world.files(), [""; 0]);
    let deadline = Instant::now() + Duration::from_secs(10);
    while world.files().is_empty() {
        assert!(Instant::now() < deadline, "the put that lingered never arrived");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(world.get("a").await, b"late");
}

#[tokio::test]
async fn a_slow_answer_comes_after_the_effect() {
    let world = world().await;
    let delay = Fault::Delay(Duration::from_millis(300));
    world.store.faults().fail_next(RequestKind::PutObject, 1, When::After, delay);
    let begun = Instant::now();
    world.put("a", b"x").send().await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn a_full_store_takes_nothing_until_there_is_room() {
    let world = world().await;
    world.store.faults().set_full(true);
    assert_eq!(refusal(world.put("a", b"x").send().await).0, 507);
    let create = world.client.create_multipart_upload().bucket(BUCKET).key("a").send().await;
    assert_eq!(refusal(create).0, 507);
    world.client.list_objects_v2().bucket(BUCKET).send().await.unwrap();
    world.store.faults().set_full(false);
    world.put("a", b"x").send().await.unwrap();
}

#[tokio::test]
async fn a_store_that_is_away_comes_back_on_the_same_address() {
    let world = world().await;
    world.store.faults().set_away(true);
    world.put("a", b"x").send().await.unwrap_err();
    world.client.head_bucket().bucket(BUCKET).send().await.unwrap_err();
    world.store.faults().clear();
    world.put("a", b"x").send().await.unwrap();
    assert_eq!(world.store.faults().seen(RequestKind::PutObject), 2);
}

#[tokio::test]
async fn only_the_requests_that_are_meant_fail() {
    let world = world().await;
    world.store.faults().plan(FaultPlan {
        kind: Some(RequestKind::PutObject),
        path_holds: "/dead/".to_owned(),
        times: u64::MAX,
        when: When::Before,
        fault: Fault::AccessDenied,
    });
    world.put("raw/a", b"x").send().await.unwrap();
    for _ in 0..3 {
        assert_eq!(refusal(world.put("dead/a", b"x").send().await).0, 403);
    }
}
