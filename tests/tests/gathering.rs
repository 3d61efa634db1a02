//! Accepts that come at once share requests to their Mailbox. Whatever becomes of such a
//! request, of those that share it and of their senders: what is answered with success is
//! stored, what fails fails alone, and each event is stored and delivered once.

use serde_json::Value;
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};
use tram_tests::{
    Answer, Becomes, Connection, FakeKv, Fate, Gate, Origin, PATIENCE, Received, Station, Webhook,
    casso, transaction, wait_until,
};

/// So many accepts of an isolate are on their way to one Mailbox; the next waits.
const UNDER_WAY: usize = 2;
/// So many wait in these tests: the first of them takes the others with it.
const WAITING: usize = 8;
/// The route of what is shared.
const SHARED: &str = "/accepts";
/// Nobody waits longer than half a second to be sent. On a machine that is slow at that moment
/// nothing is shared, and it is tried again.
const TRIES: usize = 20;

/// A station whose accepts can be made to wait.
struct Crowd {
    station: Station,
    kv: FakeKv,
    fate: Fate,
    origin: Origin,
    webhook: Webhook,
}

/// What came of accepts that were made to wait, the first of them first.
struct Waited {
    names: Vec<String>,
    /// `None` where the sender has left.
    answers: Vec<Option<Answer>>,
}

/// The connections of those that wait.
#[derive(Default)]
struct Senders(Mutex<Vec<Option<Connection>>>);

impl Senders {
    fn come(&self, all: Vec<Connection>) {
        *self.0.lock().expect("nobody panics") = all.into_iter().map(Some).collect();
    }

    fn take(&self, at: usize) -> Option<Connection> {
        self.0.lock().expect("nobody panics")[at].take()
    }
}

impl Waited {
    fn outcomes(&self) -> Vec<&str> {
        let answers = self.answers.iter().flatten();
        answers.map(|answer| answer.outcome()).collect()
    }
}

impl Crowd {
    fn new() -> Self {
        let (kv, fate, origin) = (FakeKv::start(), Fate::start(), Origin::start());
        let station = Station::builder().kv_at(&kv).fated(&fate).start();
        let webhook = station.casso_webhook(&origin);
        // From now on the configuration is confirmed, and each accept has a look at KV.
        let first = casso(&[transaction("first")]);
        station.post_casso(&webhook, first).assert_taken("accepted");
        Self {
            station,
            kv,
            fate,
            origin,
            webhook,
        }
    }

    /// Sends an event, and waits for no answer.
    fn send(&self, name: &str) -> Connection {
        let mut connection = self.station.client().connect().expect("a connection");
        let body = casso(&[transaction(name)]);
        let length = body.len().to_string();
        let headers = [
            ("content-type", "application/json"),
            ("secure-token", self.webhook.secret.as_str()),
            ("content-length", length.as_str()),
        ];
        let head = connection.head("POST", &self.webhook.path, &headers);
        let sent = connection.write((head + &body).as_bytes());
        sent.expect("the station reads");
        connection
    }

    /// Sends events and waits until each has had its look at KV: then it is on its way to
    /// the Mailbox, or waits for those that are.
    fn send_all(&self, names: &[String]) -> Vec<Connection> {
        let glances = || self.kv.calls_of("GET", "seen:").len();
        let wanted = glances() + names.len();
        let sent = names.iter().map(|name| self.send(name)).collect();
        wait_until("the looks at KV", PATIENCE, || {
            (glances() >= wanted).then_some(())
        });
        sent
    }

    /// Has [`WAITING`] events wait while no call to the Mailbox ends, then lets the calls
    /// go; of one that is shared, `rule` says what becomes. Again and again until one was
    /// shared by all of them.
    fn wait(&self, rule: impl Fn(&Received) -> Becomes + Send + Sync + 'static) -> Waited {
        self.wait_but(&[], move |call, _| rule(call))
    }

    /// The same; those at `leave` are gone before the calls go, and `rule` may have others
    /// leave.
    fn wait_but(
        &self,
        leave: &[usize],
        rule: impl Fn(&Received, &Senders) -> Becomes + Send + Sync + 'static,
    ) -> Waited {
        let rule = Arc::new(rule);
        for number in 0..TRIES {
            let gate = Gate::closed();
            let senders = Arc::new(Senders::default());
            let (keeper, rule, known) =
                (Arc::clone(&gate), Arc::clone(&rule), Arc::clone(&senders));
            self.fate.decide(move |call| {
                if call.text().contains("\"held-") {
                    keeper.pass();
                }
                match call.target.as_str() {
                    SHARED => rule(call, &known),
                    _ => Becomes::Done,
                }
            });
            let before = self.fate.calls(SHARED).len();
            let named = |what: &str, count: usize| -> Vec<String> {
                let unique = self.fate.calls("/accept").len();
                (0..count)
                    .map(|at| format!("{what}-{number}-{unique}-{at}"))
                    .collect()
            };
            let held = self.send_all(&named("held", UNDER_WAY));
            gate.wait_for_arrivals(UNDER_WAY);
            let names = named("event", WAITING);
            let (first, others) = names.split_at(1);
            let mut waiting = self.send_all(first);
            waiting.extend(self.send_all(others));
            senders.come(waiting);
            leave.iter().for_each(|at| drop(senders.take(*at)));
            gate.let_through(UNDER_WAY);
            for connection in held {
                answer(connection).assert_taken("accepted");
            }
            // The one that takes the others with it last: it may yet leave.
            let answers = (0..WAITING).rev().map(|at| senders.take(at).map(answer));
            let mut answers: Vec<Option<Answer>> = answers.collect();
            answers.reverse();
            let shared = self.fate.calls(SHARED);
            let all_in = |call: &String| names.iter().all(|name| call.contains(name.as_str()));
            if shared.iter().skip(before).any(all_in) {
                return Waited { names, answers };
            }
        }
        panic!("nothing was ever shared by all that waited");
    }

    /// All events that are stored.
    fn stored(&self) -> Vec<Value> {
        let (mut events, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!(
                "/events?webhook_id={}&per_page=100{cursor}",
                self.webhook.id
            );
            let page = self.station.api_expecting(200, "GET", &path, None);
            events.extend(page["data"].as_array().into_iter().flatten().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return events,
            }
        }
    }

    /// Asserts that each of these was stored once and delivered once.
    fn assert_once(&self, names: &[String]) {
        let events = wait_until("all to be delivered", PATIENCE, || {
            let events = self.stored();
            let delivered = events.iter().all(|event| event["status"] == "delivered");
            delivered.then_some(events)
        });
        let arrived: Vec<Value> = self.origin.received().iter().map(Received::json).collect();
        for name in names {
            let stored = events.iter().filter(|event| event["object_id"] == **name);
            assert_eq!(stored.count(), 1, "{name} stored");
            let arrived = arrived
                .iter()
                .filter(|body| body["data"][0]["id"] == **name);
            assert_eq!(arrived.count(), 1, "{name} delivered");
        }
    }
}

fn answer(mut connection: Connection) -> Answer {
    connection.read_answer().expect("an answer")
}

#[test]
fn what_waits_shares_a_request_and_is_answered_each_for_itself() {
    let crowd = Crowd::new();
    let waited = crowd.wait(|_| Becomes::Done);
    assert_eq!(waited.outcomes(), ["accepted"; WAITING]);
    let ids: BTreeSet<String> = waited
        .answers
        .iter()
        .flatten()
        .flat_map(Answer::event_ids)
        .collect();
    assert_eq!(ids.len(), WAITING, "each has its own event");
    for (name, answer) in waited.names.iter().zip(waited.answers.iter().flatten()) {
        let path = format!("/events/{}", answer.event_ids()[0]);
        let event = crowd.station.api_expecting(200, "GET", &path, None);
        assert_eq!(event["object_id"], **name);
    }
    crowd.assert_once(&waited.names);
}

#[test]
fn those_whose_shared_request_fails_go_alone() {
    let crowd = Crowd::new();
    for becomes in [Becomes::Thrown, Becomes::Failed] {
        let waited = crowd.wait(move |_| becomes.clone());
        assert_eq!(waited.outcomes(), ["accepted"; WAITING]);
        crowd.assert_once(&waited.names);
    }
    // What was stored all the same is a repeat when it goes alone.
    for becomes in [Becomes::Forgotten, Becomes::Babble] {
        let waited = crowd.wait(move |_| becomes.clone());
        assert_eq!(waited.outcomes(), ["duplicate"; WAITING]);
        crowd.assert_once(&waited.names);
    }
}

#[test]
fn one_that_cannot_be_stored_fails_alone() {
    let crowd = Crowd::new();
    let poison = |call: &Received| {
        // The third of those that wait, whichever try it is.
        let text = call.text();
        let begin = text.find("event-").unwrap_or_default();
        let prefix = text[begin..].split('-').take(3).collect::<Vec<_>>();
        Becomes::Poisoned(format!("\"{}-2\"", prefix.join("-")))
    };
    let waited = crowd.wait(poison);
    for (at, (name, answer)) in waited.names.iter().zip(&waited.answers).enumerate() {
        let answer = answer.as_ref().expect("an answer");
        if at == 2 {
            answer.assert_problem(503, "try_again");
            let again = casso(&[transaction(name.as_str())]);
            let again = crowd.station.post_casso(&crowd.webhook, again);
            again.assert_taken("accepted");
        } else {
            answer.assert_taken("accepted");
        }
    }
    crowd.assert_once(&waited.names);
}

#[test]
fn senders_that_leave_take_nobody_with_them() {
    let crowd = Crowd::new();
    // The first, which takes the others with it; some behind it; both.
    for leave in [&[0][..], &[3, 4], &[0, 1, 7]] {
        let waited = crowd.wait_but(leave, |_, _| Becomes::Done);
        assert_eq!(waited.outcomes(), vec!["accepted"; WAITING - leave.len()]);
        crowd.assert_once(&waited.names);
    }
    // The first again, in the middle of the request that it makes for all.
    for becomes in [Becomes::Done, Becomes::Thrown] {
        let waited = crowd.wait_but(&[], move |_, senders| {
            drop(senders.take(0));
            // The runtime is given time to hear of it.
            thread::sleep(Duration::from_millis(100));
            becomes.clone()
        });
        assert_eq!(waited.outcomes(), ["accepted"; WAITING - 1]);
        crowd.assert_once(&waited.names);
    }
}

#[test]
fn nobody_waits_for_a_shared_request_without_an_end() {
    let crowd = Crowd::new();
    let gate = Gate::closed();
    let keeper = Arc::clone(&gate);
    let rule = move |_: &Received| {
        keeper.pass();
        Becomes::Done
    };
    let waited = thread::scope(|scope| {
        let waiting = scope.spawn(|| crowd.wait(rule));
        gate.wait_for_arrivals(1);
        // All but the first have gone alone before what they shared is begun.
        wait_until("the others to be stored", PATIENCE, || {
            let stored = crowd.stored();
            let stored = stored.iter().filter(|event| {
                let name = event["object_id"].as_str().unwrap_or_default();
                name.starts_with("event-")
            });
            let stored = stored.count();
            (stored >= WAITING - 1).then_some(())
        });
        gate.let_through(TRIES);
        waiting.join().expect("all are answered")
    });
    assert_eq!(waited.outcomes(), ["accepted"; WAITING]);
    crowd.assert_once(&waited.names);
}

#[test]
fn hundreds_at_once_are_each_stored_and_delivered_once() {
    const SENDERS: usize = 150;
    const EACH: usize = 4;
    // One of each sender's is also its neighbour's.
    let name = |sender: usize, event: usize| match event {
        2 => format!("event-{}-2", sender / 2 * 2),
        _ => format!("event-{sender}-{event}"),
    };
    let crowd = Crowd::new();
    // Every fifth shared request fails in one way or another.
    let number = AtomicUsize::new(0);
    crowd.fate.decide(move |call| {
        if call.target != SHARED {
            return Becomes::Done;
        }
        match number.fetch_add(1, Ordering::Relaxed) % 10 {
            3 => Becomes::Thrown,
            8 => Becomes::Failed,
            _ => Becomes::Done,
        }
    });
    let start = Barrier::new(SENDERS);
    let accepted = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for sender in 0..SENDERS {
            let (start, accepted, crowd) = (&start, &accepted, &crowd);
            scope.spawn(move || {
                let mut connection = crowd.station.client().connect().expect("a connection");
                let headers = [
                    ("content-type", "application/json"),
                    ("secure-token", crowd.webhook.secret.as_str()),
                ];
                start.wait();
                for event in 0..EACH {
                    let name = name(sender, event);
                    let body = casso(&[transaction(name.as_str())]);
                    let path = &crowd.webhook.path;
                    let answer = connection.send("POST", path, &headers, body.as_bytes());
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    match answer.outcome() {
                        "accepted" => accepted.lock().expect("nobody panics").push(name),
                        // Or the machine was so slow that it went alone as well.
                        other => assert_eq!(other, "duplicate"),
                    }
                }
            });
        }
    });
    let accepted = accepted.into_inner().expect("nobody panics");
    let once: BTreeSet<&String> = accepted.iter().collect();
    assert_eq!(once.len(), accepted.len(), "each accepted once");
    assert!(!crowd.fate.calls(SHARED).is_empty(), "some were shared");
    let all: BTreeSet<String> = (0..SENDERS)
        .flat_map(|sender| (0..EACH).map(move |event| name(sender, event)))
        .collect();
    crowd.assert_once(&all.into_iter().collect::<Vec<_>>());
}
