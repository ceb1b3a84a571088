use std::error::Error as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;

const START: Duration = Duration::from_secs(1_000);
const LIMITS: QueueLimits = QueueLimits { count: 256, bytes: 1024 * 1024 };

fn receive(sealed: &mut DecryptQueue, event: Event, now: Duration) {
    sealed.receive(event, LIMITS, now);
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
    event(id, &key(number).seal([9; 24], text(id)))
}

fn malformed(id: usize) -> Event {
    event(id, &text(id))
}

/// What came out, as short words: `ok 1`, `failed 2` and `refresh`.
fn outcome(sealed: &mut DecryptQueue) -> Vec<String> {
    std::iter::from_fn(|| sealed.poll()).map(|verdict| describe(&verdict)).collect()
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
            let words = error.to_string();
            let id = words.strip_prefix("the event e").unwrap().split(' ').next().unwrap();
            format!("failed {id}")
        }
        Verdict::Refresh => "refresh".into(),
    }
}

/// With key 1, since `START`.
fn ready() -> DecryptQueue {
    let mut sealed = DecryptQueue::default();
    sealed.set_key(key(1), START);
    sealed
}

#[test]
fn what_opens_is_delivered_at_once() {
    let mut sealed = ready();
    receive(&mut sealed, under(1, 0), START);
    receive(&mut sealed, malformed(1), START);
    receive(&mut sealed, under(1, 2), START);
    assert_eq!(outcome(&mut sealed), ["ok 0", "failed 1", "ok 2"]);
    assert_eq!(sealed.deadline(), None);
}

#[test]
fn without_a_key_nothing_is_held() {
    let mut sealed = DecryptQueue::default();
    receive(&mut sealed, under(1, 0), START);
    receive(&mut sealed, malformed(1), START);
    assert_eq!(outcome(&mut sealed), ["failed 0", "failed 1"]);
}

#[test]
fn a_long_name_is_cut_in_the_error() {
    let frame = format!(r#"{{"event":"{}","data":""}}"#, "é".repeat(1000));
    let mut sealed = ready();
    receive(&mut sealed, Event::parse(frame).unwrap(), START);
    let Some(Verdict::Failed(error)) = sealed.poll() else { panic!("it fails") };
    assert!(error.to_string().len() < 600, "{error}");
}

#[test]
fn a_new_key_keeps_the_order() {
    let mut sealed = ready();
    receive(&mut sealed, under(1, 0), START);
    receive(&mut sealed, under(2, 1), START);
    assert_eq!(outcome(&mut sealed), ["ok 0", "refresh"]);
    // Plaintext, and a third key that never comes.
    receive(&mut sealed, malformed(2), START);
    receive(&mut sealed, under(3, 3), START);
    receive(&mut sealed, under(2, 4), START);
    assert_eq!(outcome(&mut sealed), [""; 0]);
    sealed.set_key(key(2), START);
    assert_eq!(outcome(&mut sealed), ["ok 1", "failed 2", "failed 3", "ok 4"]);
    receive(&mut sealed, under(2, 5), START);
    assert_eq!(outcome(&mut sealed), ["ok 5"]);
}

#[test]
fn an_event_that_opens_proves_the_key_good() {
    let mut sealed = ready();
    // The first one asks for a key, and its answer is still to come.
    receive(&mut sealed, under(2, 0), START);
    receive(&mut sealed, malformed(1), START);
    receive(&mut sealed, under(3, 2), START);
    assert_eq!(outcome(&mut sealed), ["refresh"]);
    receive(&mut sealed, under(1, 3), START);
    assert_eq!(outcome(&mut sealed), ["failed 0", "failed 1", "failed 2", "ok 3"]);
    assert_eq!((sealed.held.len(), sealed.held_bytes), (0, 0));
    // What fails now waits for the answer, and not for another request.
    receive(&mut sealed, under(2, 4), START);
    assert_eq!((outcome(&mut sealed), sealed.deadline()), (vec![], None));
    sealed.set_key(key(2), START);
    assert_eq!(outcome(&mut sealed), ["ok 4"]);
}

#[test]
fn bad_ones_among_good_ones_delay_nothing() {
    let mut sealed = ready();
    let mut requests = 0;
    for id in 0..12 {
        let now = secs(id as u64);
        receive(&mut sealed, under(2, 2 * id), now);
        let asked = outcome(&mut sealed);
        requests += asked.len();
        receive(&mut sealed, under(1, 2 * id + 1), now);
        let expected = [format!("failed {}", 2 * id), format!("ok {}", 2 * id + 1)];
        assert_eq!(outcome(&mut sealed), expected);
        assert_eq!(sealed.deadline(), None, "the key is good");
        if !asked.is_empty() {
            sealed.set_key(key(1), now);
        }
    }
    assert_eq!(requests, 3, "at 0 s, 5 s and 10 s");
}

#[test]
fn a_rotation_among_bad_ones_loses_nothing() {
    let mut sealed = ready();
    for (id, number) in [(0, 3), (1, 1)] {
        receive(&mut sealed, under(number, id), START);
    }
    assert_eq!(outcome(&mut sealed), ["refresh", "failed 0", "ok 1"]);
    sealed.set_key(key(1), START);
    for id in 2..100 {
        receive(&mut sealed, under(2, id), secs(1));
    }
    assert_eq!(outcome(&mut sealed), [""; 0]);
    assert_eq!(sealed.deadline(), Some(secs(5)));
    sealed.handle_timeout(secs(5));
    assert_eq!(outcome(&mut sealed), ["refresh"]);
    sealed.set_key(key(2), secs(5));
    assert_eq!(outcome(&mut sealed), (2..100).map(|id| format!("ok {id}")).collect::<Vec<_>>());
}

#[test]
fn what_is_not_text_is_delivered() {
    let mut sealed = ready();
    receive(&mut sealed, event(0, &key(1).seal([9; 24], [0xff, 0])), START);
    let Some(Verdict::Deliver(event)) = sealed.poll() else { panic!("it opens") };
    assert_eq!((event.bytes(), event.data()), (&[0xff, 0][..], "\u{fffd}\0"));
    assert!(sealed.poll().is_none());
}

#[test]
fn a_failed_refresh_fails_what_waits_and_keeps_the_key() {
    let mut sealed = ready();
    receive(&mut sealed, under(2, 0), START);
    receive(&mut sealed, malformed(1), START);
    assert_eq!(outcome(&mut sealed), ["refresh"]);
    sealed.refresh_failed(&Error::message(ErrorKind::Auth, "refused"), START);
    let Some(Verdict::Failed(error)) = sealed.poll() else { panic!("it fails") };
    assert_eq!(error.source().unwrap().to_string(), "refused");
    assert_eq!(outcome(&mut sealed), ["failed 1"]);
    receive(&mut sealed, under(1, 2), START);
    assert_eq!(outcome(&mut sealed), ["ok 2"]);
}

#[test]
fn refreshes_keep_their_distance() {
    let mut sealed = ready();
    receive(&mut sealed, under(2, 0), secs(1));
    assert_eq!(outcome(&mut sealed), ["refresh"], "the first key was no refresh");
    sealed.set_key(key(3), secs(2));
    assert_eq!(outcome(&mut sealed), ["failed 0"], "a second failure is final");

    receive(&mut sealed, under(2, 1), secs(3));
    receive(&mut sealed, under(2, 2), secs(4));
    assert_eq!(sealed.deadline(), Some(secs(7)));
    sealed.handle_timeout(secs(6));
    assert_eq!(outcome(&mut sealed), [""; 0]);
    // Nobody asked yet, so this answers nothing.
    sealed.refresh_failed(&Error::message(ErrorKind::Auth, "late"), secs(6));
    assert_eq!(outcome(&mut sealed), [""; 0]);
    sealed.handle_timeout(secs(7));
    sealed.handle_timeout(secs(8));
    assert_eq!(outcome(&mut sealed), ["refresh"]);
    assert_eq!(sealed.deadline(), None);
    sealed.set_key(key(2), secs(8));
    assert_eq!(outcome(&mut sealed), ["ok 1", "ok 2"]);

    receive(&mut sealed, under(1, 3), secs(60));
    assert_eq!(outcome(&mut sealed), ["refresh"]);
}

#[test]
fn a_lost_connection_fails_what_waits_and_drops_the_key() {
    let mut sealed = ready();
    receive(&mut sealed, under(2, 0), START);
    receive(&mut sealed, malformed(1), START);
    receive(&mut sealed, under(2, 2), START);
    sealed.reset();
    assert_eq!(outcome(&mut sealed), ["refresh", "failed 0", "failed 1", "failed 2"]);
    assert!(sealed.key.is_none() && sealed.deadline().is_none());
    sealed.refresh_failed(&Error::message(ErrorKind::Closed, ""), START);
    assert_eq!(outcome(&mut sealed), [""; 0]);
    sealed.set_key(key(2), START);
    receive(&mut sealed, under(2, 3), START);
    assert_eq!(outcome(&mut sealed), ["ok 3"]);
}

#[test]
fn a_storm_asks_once_and_holds_a_bounded_number() {
    let mut sealed = ready();
    for id in 0..1_000 {
        receive(&mut sealed, under(2, id), START);
        assert!(sealed.held.len() <= LIMITS.count);
    }
    let mut expected = vec!["refresh".to_owned()];
    expected.extend((0..1_000 - LIMITS.count).map(|id| format!("failed {id}")));
    assert_eq!(outcome(&mut sealed), expected);
    sealed.set_key(key(2), START);
    let expected: Vec<_> = (1_000 - LIMITS.count..1_000).map(|id| format!("ok {id}")).collect();
    assert_eq!(outcome(&mut sealed), expected);
    assert_eq!((sealed.held.len(), sealed.held_bytes), (0, 0));
}

#[test]
fn what_waits_behind_the_one_given_up_need_not_wait() {
    let mut sealed = ready();
    receive(&mut sealed, under(2, 0), START);
    for id in 1..=LIMITS.count {
        receive(&mut sealed, malformed(id), START);
    }
    let mut expected = vec!["refresh".to_owned()];
    expected.extend((0..=LIMITS.count).map(|id| format!("failed {id}")));
    assert_eq!(outcome(&mut sealed), expected);
    assert_eq!((sealed.held.len(), sealed.held_bytes), (0, 0));
}

#[test]
fn long_frames_are_bounded_by_their_bytes() {
    let mut sealed = ready();
    // Each is there once: in its frame, and not decoded.
    let long = key(2).seal([9; 24], "x".repeat(LIMITS.bytes / 3));
    for id in 0..100 {
        receive(&mut sealed, event(id, &long), START);
        assert!(sealed.held_bytes <= LIMITS.bytes);
        assert_eq!(sealed.held_bytes, sealed.held.iter().map(Held::size).sum::<usize>());
    }
    assert_eq!(outcome(&mut sealed).len(), 1 + 98);
    // One that is too long all by itself waits alone, as it does in a queue.
    let huge = key(2).seal([9; 24], "x".repeat(LIMITS.bytes));
    receive(&mut sealed, event(100, &huge), START);
    assert_eq!(outcome(&mut sealed), ["failed 98", "failed 99"]);
    receive(&mut sealed, under(2, 101), START);
    assert_eq!(outcome(&mut sealed), ["failed 100"]);
    sealed.set_key(key(2), START);
    assert_eq!(outcome(&mut sealed), ["ok 101"]);
    assert_eq!((sealed.held.len(), sealed.held_bytes), (0, 0));
}

#[derive(Clone, Debug)]
enum Step {
    /// Under the key of this number; plaintext for 0.
    Event(u8),
    Answer(u8),
    Refuse,
    Wait(u64),
    Reset,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..4_u8).prop_map(Step::Event),
        2 => (1..4_u8).prop_map(Step::Answer),
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
        let mut sealed = ready();
        let (mut now, mut present) = (START, Some(1));
        let (mut asked, mut answered) = (false, None::<Duration>);
        let mut sent = Vec::new();
        let mut done = 0;
        for step in steps.into_iter().chain([Step::Reset]) {
            match step {
                Step::Event(0) => {
                    receive(&mut sealed, malformed(sent.len()), now);
                    sent.push(Some(false));
                }
                Step::Event(number) => {
                    receive(&mut sealed, under(number, sent.len()), now);
                    // One under another key may or may not be opened later.
                    sent.push(match present {
                        None => Some(false),
                        Some(present) if present == number => Some(true),
                        Some(_) => None,
                    });
                }
                // A connection begins with a key, and then it is answered when it asks.
                Step::Answer(number) if asked || present.is_none() => {
                    sealed.set_key(key(number), now);
                    answered = if asked { Some(now) } else { answered };
                    (asked, present) = (false, Some(number));
                }
                Step::Refuse if asked => {
                    sealed.refresh_failed(&Error::message(ErrorKind::Auth, "no"), now);
                    (asked, answered) = (false, Some(now));
                }
                Step::Answer(_) | Step::Refuse => {}
                Step::Wait(millis) => {
                    now += Duration::from_millis(millis);
                    sealed.handle_timeout(now);
                }
                Step::Reset => {
                    sealed.reset();
                    (asked, present) = (false, None);
                }
            }
            while let Some(verdict) = sealed.poll() {
                let words = describe(&verdict);
                if words == "refresh" {
                    prop_assert!(!asked, "one at a time");
                    prop_assert!(answered.is_none_or(|at| now >= at + REFRESH_INTERVAL));
                    // A reset forgets what was asked on the connection before.
                    asked = present.is_some();
                    continue;
                }
                let opened = words == format!("ok {done}");
                prop_assert!(opened || words == format!("failed {done}"), "{words}, not {done}");
                prop_assert!(sent[done].is_none_or(|expected| expected == opened));
                done += 1;
            }
            // Nothing waits without a reason.
            prop_assert!(done == sent.len() || asked || sealed.deadline().is_some());
            prop_assert!(sealed.held.len() == sent.len() - done && sealed.held.len() <= LIMITS.count);
        }
        prop_assert_eq!(done, sent.len());
    }
}
