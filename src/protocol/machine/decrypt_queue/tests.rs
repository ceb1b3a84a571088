use std::error::Error as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;

const START: Duration = Duration::from_secs(1_000);
const LIMITS: QueueLimits = QueueLimits { count: 256, bytes: 1024 * 1024 };

fn receive(queue: &mut DecryptQueue, event: Event, now: Duration) {
    queue.receive(event, LIMITS, now);
}

fn secs(seconds: u64) -> Duration {
    START + Duration::from_secs(seconds)
}

fn key(number: u8) -> Key {
    Key::parse(&STANDARD.encode([number; 32])).unwrap()
}

/// An event named `e{id}` with this as its data, in the way that servers send it.
fn event(id: usize, data: &str) -> Event {
    let frame = serde_json::json!({
        "event": format!("e{id}"), "channel": "private-encrypted-c", "data": data,
    });
    Event::parse(frame.to_string()).unwrap()
}

fn text(id: usize) -> String {
    format!(r#"{{"secret":{id}}}"#)
}

/// An event with the text of its id, under the key of this number.
fn under(number: u8, id: usize) -> Event {
    event(id, &key(number).encrypt([9; 24], text(id)))
}

fn malformed(id: usize) -> Event {
    event(id, &text(id))
}

/// What came out, in short: `ok 1`, `failed 2` and `refresh`.
fn outcome(queue: &mut DecryptQueue) -> Vec<String> {
    std::iter::from_fn(|| queue.poll()).map(|verdict| describe(&verdict)).collect()
}

fn describe(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Deliver(event) => {
            let id: usize = event.name()[1..].parse().unwrap();
            assert_eq!(event.data(), text(id), "it is this event's, decrypted");
            assert!(event.raw().contains("ciphertext"), "it came encrypted");
            format!("ok {id}")
        }
        Verdict::Failed(error) => {
            assert_eq!(error.kind(), ErrorKind::Decryption);
            assert_eq!(error.channel(), Some("private-encrypted-c"));
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("secret") && !shown.contains("ciphertext"), "{shown}");
            let text = error.to_string();
            let id = text.strip_prefix("the event e").unwrap().split(' ').next().unwrap();
            format!("failed {id}")
        }
        Verdict::Refresh => "refresh".into(),
    }
}

/// With key 1, since `START`.
fn ready() -> DecryptQueue {
    let mut queue = DecryptQueue::default();
    queue.set_key(key(1), START);
    queue
}

#[test]
fn held_events_keep_nothing_else_of_their_batches() {
    let mut intake = crate::wire::batch::Intake::default();
    (1..=100).for_each(|id| intake.inbox.text(under(2, id).raw()));
    intake.take_in(Duration::ZERO);
    let batch = intake.batches.pop().unwrap().batch;
    let mut queue = ready();
    for index in [0, 50, 99] {
        receive(&mut queue, Event::in_batch(&batch, index), START);
    }
    assert_eq!(std::sync::Arc::strong_count(&batch), 1 + 1, "this and the ring's");
    queue.set_key(key(2), secs(1));
    assert_eq!(outcome(&mut queue), ["refresh", "ok 1", "ok 51", "ok 100"]);
}

#[test]
fn decrypted_events_are_delivered_at_once() {
    let mut queue = ready();
    receive(&mut queue, under(1, 0), START);
    receive(&mut queue, malformed(1), START);
    receive(&mut queue, under(1, 2), START);
    assert_eq!(outcome(&mut queue), ["ok 0", "failed 1", "ok 2"]);
    assert_eq!(queue.deadline(), None);
}

#[test]
fn without_a_key_nothing_is_held() {
    let mut queue = DecryptQueue::default();
    receive(&mut queue, under(1, 0), START);
    receive(&mut queue, malformed(1), START);
    assert_eq!(outcome(&mut queue), ["failed 0", "failed 1"]);
}

#[test]
fn a_long_name_is_cut_in_the_error() {
    let frame = format!(r#"{{"event":"{}","data":""}}"#, "é".repeat(1000));
    let mut queue = ready();
    receive(&mut queue, Event::parse(frame).unwrap(), START);
    let Some(Verdict::Failed(error)) = queue.poll() else { panic!("it fails") };
    assert!(error.to_string().len() < 600, "{error}");
}

#[test]
fn a_new_key_keeps_the_order() {
    let mut queue = ready();
    receive(&mut queue, under(1, 0), START);
    receive(&mut queue, under(2, 1), START);
    assert_eq!(outcome(&mut queue), ["ok 0", "refresh"]);
    // Plaintext, and a third key that never comes.
    receive(&mut queue, malformed(2), START);
    receive(&mut queue, under(3, 3), START);
    receive(&mut queue, under(2, 4), START);
    assert_eq!(outcome(&mut queue), [""; 0]);
    queue.set_key(key(2), START);
    assert_eq!(outcome(&mut queue), ["ok 1", "failed 2", "failed 3", "ok 4"]);
    receive(&mut queue, under(2, 5), START);
    assert_eq!(outcome(&mut queue), ["ok 5"]);
}

#[test]
fn a_decrypted_event_proves_the_key_right() {
    let mut queue = ready();
    // The first one requests a key, and the response is still to come.
    receive(&mut queue, under(2, 0), START);
    receive(&mut queue, malformed(1), START);
    receive(&mut queue, under(3, 2), START);
    assert_eq!(outcome(&mut queue), ["refresh"]);
    receive(&mut queue, under(1, 3), START);
    assert_eq!(outcome(&mut queue), ["failed 0", "failed 1", "failed 2", "ok 3"]);
    assert_eq!((queue.held.len(), queue.held_bytes), (0, 0));
    // What fails now waits for the response, and not for another request.
    receive(&mut queue, under(2, 4), START);
    assert_eq!((outcome(&mut queue), queue.deadline()), (vec![], None));
    queue.set_key(key(2), START);
    assert_eq!(outcome(&mut queue), ["ok 4"]);
}

#[test]
fn bad_ones_among_good_ones_delay_nothing() {
    let mut queue = ready();
    let mut requests = 0;
    for id in 0..12 {
        let now = secs(id as u64);
        receive(&mut queue, under(2, 2 * id), now);
        let outcomes = outcome(&mut queue);
        requests += outcomes.len();
        receive(&mut queue, under(1, 2 * id + 1), now);
        let expected = [format!("failed {}", 2 * id), format!("ok {}", 2 * id + 1)];
        assert_eq!(outcome(&mut queue), expected);
        assert_eq!(queue.deadline(), None, "the key is good");
        if !outcomes.is_empty() {
            queue.set_key(key(1), now);
        }
    }
    assert_eq!(requests, 3, "at 0 s, 5 s and 10 s");
}

#[test]
fn a_rotation_among_bad_ones_loses_nothing() {
    let mut queue = ready();
    for (id, number) in [(0, 3), (1, 1)] {
        receive(&mut queue, under(number, id), START);
    }
    assert_eq!(outcome(&mut queue), ["refresh", "failed 0", "ok 1"]);
    queue.set_key(key(1), START);
    for id in 2..100 {
        receive(&mut queue, under(2, id), secs(1));
    }
    assert_eq!(outcome(&mut queue), [""; 0]);
    assert_eq!(queue.deadline(), Some(secs(5)));
    queue.handle_timeout(secs(5));
    assert_eq!(outcome(&mut queue), ["refresh"]);
    queue.set_key(key(2), secs(5));
    assert_eq!(outcome(&mut queue), (2..100).map(|id| format!("ok {id}")).collect::<Vec<_>>());
}

#[test]
fn what_is_not_text_is_delivered() {
    let mut queue = ready();
    receive(&mut queue, event(0, &key(1).encrypt([9; 24], [0xff, 0])), START);
    let Some(Verdict::Deliver(event)) = queue.poll() else { panic!("it is delivered") };
    assert_eq!((event.bytes(), event.data()), (&[0xff, 0][..], "\u{fffd}\0"));
    assert!(queue.poll().is_none());
}

#[test]
fn a_failed_refresh_fails_what_waits_and_keeps_the_key() {
    let mut queue = ready();
    receive(&mut queue, under(2, 0), START);
    receive(&mut queue, malformed(1), START);
    assert_eq!(outcome(&mut queue), ["refresh"]);
    queue.refresh_failed(&Error::message(ErrorKind::Auth, "refused"), START);
    let Some(Verdict::Failed(error)) = queue.poll() else { panic!("it fails") };
    assert_eq!(error.source().unwrap().to_string(), "refused");
    assert_eq!(outcome(&mut queue), ["failed 1"]);
    receive(&mut queue, under(1, 2), START);
    assert_eq!(outcome(&mut queue), ["ok 2"]);
}

#[test]
fn refreshes_keep_their_distance() {
    let mut queue = ready();
    receive(&mut queue, under(2, 0), secs(1));
    assert_eq!(outcome(&mut queue), ["refresh"], "the first key was no refresh");
    queue.set_key(key(3), secs(2));
    assert_eq!(outcome(&mut queue), ["failed 0"], "a second failure is final");

    receive(&mut queue, under(2, 1), secs(3));
    receive(&mut queue, under(2, 2), secs(4));
    assert_eq!(queue.deadline(), Some(secs(7)));
    queue.handle_timeout(secs(6));
    assert_eq!(outcome(&mut queue), [""; 0]);
    // Nothing is requested yet, so this has no effect.
    queue.refresh_failed(&Error::message(ErrorKind::Auth, "late"), secs(6));
    assert_eq!(outcome(&mut queue), [""; 0]);
    queue.handle_timeout(secs(7));
    queue.handle_timeout(secs(8));
    assert_eq!(outcome(&mut queue), ["refresh"]);
    assert_eq!(queue.deadline(), None);
    queue.set_key(key(2), secs(8));
    assert_eq!(outcome(&mut queue), ["ok 1", "ok 2"]);

    receive(&mut queue, under(1, 3), secs(60));
    assert_eq!(outcome(&mut queue), ["refresh"]);
}

#[test]
fn a_lost_connection_fails_what_waits_and_drops_the_key() {
    let mut queue = ready();
    receive(&mut queue, under(2, 0), START);
    receive(&mut queue, malformed(1), START);
    receive(&mut queue, under(2, 2), START);
    queue.reset();
    assert_eq!(outcome(&mut queue), ["refresh", "failed 0", "failed 1", "failed 2"]);
    assert!(queue.key.is_none() && queue.deadline().is_none());
    queue.refresh_failed(&Error::message(ErrorKind::Closed, ""), START);
    assert_eq!(outcome(&mut queue), [""; 0]);
    queue.set_key(key(2), START);
    receive(&mut queue, under(2, 3), START);
    assert_eq!(outcome(&mut queue), ["ok 3"]);
}

#[test]
fn a_flood_requests_one_key_and_holds_a_bounded_number() {
    let mut queue = ready();
    for id in 0..1_000 {
        receive(&mut queue, under(2, id), START);
        assert!(queue.held.len() <= LIMITS.count);
    }
    let mut expected = vec!["refresh".to_owned()];
    expected.extend((0..1_000 - LIMITS.count).map(|id| format!("failed {id}")));
    assert_eq!(outcome(&mut queue), expected);
    queue.set_key(key(2), START);
    let expected: Vec<_> = (1_000 - LIMITS.count..1_000).map(|id| format!("ok {id}")).collect();
    assert_eq!(outcome(&mut queue), expected);
    assert_eq!((queue.held.len(), queue.held_bytes), (0, 0));
}

#[test]
fn events_behind_one_that_is_given_up_do_not_wait() {
    let mut queue = ready();
    receive(&mut queue, under(2, 0), START);
    for id in 1..=LIMITS.count {
        receive(&mut queue, malformed(id), START);
    }
    let mut expected = vec!["refresh".to_owned()];
    expected.extend((0..=LIMITS.count).map(|id| format!("failed {id}")));
    assert_eq!(outcome(&mut queue), expected);
    assert_eq!((queue.held.len(), queue.held_bytes), (0, 0));
}

#[test]
fn long_frames_are_bounded_by_their_bytes() {
    let mut queue = ready();
    // Each is there once: in its frame, and not decoded.
    let long = key(2).encrypt([9; 24], "x".repeat(LIMITS.bytes / 3));
    for id in 0..100 {
        receive(&mut queue, event(id, &long), START);
        assert!(queue.held_bytes <= LIMITS.bytes);
        assert_eq!(queue.held_bytes, queue.held.iter().map(Held::size).sum::<usize>());
    }
    assert_eq!(outcome(&mut queue).len(), 1 + 98);
    // One that is too long all by itself waits alone, as it does in a queue.
    let huge = key(2).encrypt([9; 24], "x".repeat(LIMITS.bytes));
    receive(&mut queue, event(100, &huge), START);
    assert_eq!(outcome(&mut queue), ["failed 98", "failed 99"]);
    receive(&mut queue, under(2, 101), START);
    assert_eq!(outcome(&mut queue), ["failed 100"]);
    queue.set_key(key(2), START);
    assert_eq!(outcome(&mut queue), ["ok 101"]);
    assert_eq!((queue.held.len(), queue.held_bytes), (0, 0));
}

#[derive(Clone, Debug)]
enum Step {
    /// Under the key of this number; plaintext for 0.
    Event(u8),
    Key(u8),
    Refuse,
    Wait(u64),
    Reset,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..4_u8).prop_map(Step::Event),
        2 => (1..4_u8).prop_map(Step::Key),
        1 => Just(Step::Refuse),
        3 => (1..4_000_u64).prop_map(Step::Wait),
        1 => Just(Step::Reset),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever happens: each event comes out once, in order, and decrypted if it was under the key
    /// of its time; plaintext never does; and refreshes keep their distance.
    #[test]
    fn each_event_comes_out_once_and_in_order(steps in prop::collection::vec(step(), 1..250)) {
        let mut queue = ready();
        let (mut now, mut present) = (START, Some(1));
        let (mut requested, mut refreshed) = (false, None::<Duration>);
        let (mut sent, mut done) = (Vec::new(), 0);
        for step in steps.into_iter().chain([Step::Reset]) {
            match step {
                Step::Event(0) => {
                    receive(&mut queue, malformed(sent.len()), now);
                    sent.push(Some(false));
                }
                Step::Event(number) => {
                    receive(&mut queue, under(number, sent.len()), now);
                    // One under another key may or may not be decrypted later.
                    sent.push(match present {
                        None => Some(false),
                        Some(present) if present == number => Some(true),
                        Some(_) => None,
                    });
                }
                // A connection begins with a key, and then it gets one when it requests one.
                Step::Key(number) if requested || present.is_none() => {
                    queue.set_key(key(number), now);
                    refreshed = if requested { Some(now) } else { refreshed };
                    (requested, present) = (false, Some(number));
                }
                Step::Refuse if requested => {
                    queue.refresh_failed(&Error::message(ErrorKind::Auth, "no"), now);
                    (requested, refreshed) = (false, Some(now));
                }
                Step::Key(_) | Step::Refuse => {}
                Step::Wait(millis) => {
                    now += Duration::from_millis(millis);
                    queue.handle_timeout(now);
                }
                Step::Reset => {
                    queue.reset();
                    (requested, present) = (false, None);
                }
            }
            while let Some(verdict) = queue.poll() {
                let text = describe(&verdict);
                if text == "refresh" {
                    prop_assert!(!requested, "one at a time");
                    prop_assert!(refreshed.is_none_or(|at| now >= at + REFRESH_INTERVAL));
                    // A reset forgets what was requested on the connection before.
                    requested = present.is_some();
                    continue;
                }
                let delivered = text == format!("ok {done}");
                prop_assert!(delivered || text == format!("failed {done}"), "{text}, not {done}");
                prop_assert!(sent[done].is_none_or(|expected| expected == delivered));
                done += 1;
            }
            // Nothing waits without a reason.
            prop_assert!(done == sent.len() || requested || queue.deadline().is_some());
            prop_assert!(queue.held.len() == sent.len() - done && queue.held.len() <= LIMITS.count);
        }
        prop_assert_eq!(done, sent.len());
    }
}
