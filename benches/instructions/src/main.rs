//! The core's hot paths, one at a time and so many times, for callgrind: the
//! instructions of one more time are the path's own, whatever the machine.
//! `benches/guards.mjs` counts them and holds them to their bounds.
//!
//! `tram-instructions PATH TIMES`; without arguments it lists the paths.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::{collections::BTreeMap, hint::black_box};
use tram_core::{
    delivery::Job,
    destination_url::Station,
    inbound::Inbound,
    mailbox::Mailbox,
    messages::Accept,
    providers, receive, relay,
    secret::Secret,
    testing::{
        native::NativeDatabase,
        samples::{START, accept, event, verdict, webhook},
    },
    webhook::Webhook,
};

const SECRET: &str = "a-secret-of-the-guards";
const BODY_BYTES: usize = 2_048;

fn main() {
    let paths: BTreeMap<&str, fn(u64)> = BTreeMap::from([
        ("a github event is proven and named", github as fn(u64)),
        ("a forged github event is refused", forged),
        ("a casso transaction is proven and named", casso_one),
        ("a casso batch of 100 is proven and split", casso_batch),
        ("an accept is written and read", message),
        ("an event is stored, leased and delivered", mailbox),
        ("a duplicate is recognised", duplicate),
        ("a request to an origin is built and signed", outgoing),
    ]);
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [path, times] => {
            let run = paths.get(path.as_str()).expect("a path of the list");
            run(times.parse().expect("how many times"));
        }
        _ => paths.keys().for_each(|path| println!("{path}")),
    }
}

fn of(provider: &str) -> Webhook {
    Webhook {
        provider: provider.into(),
        secrets: vec![Secret::new(SECRET.into())],
        ..webhook(1)
    }
}

/// A post with the headers that senders have.
fn post(body: Vec<u8>, proof: &[(&str, String)]) -> Inbound {
    let common = [
        ("host", "hooks.example.com"),
        ("accept", "*/*"),
        ("user-agent", "GitHub-Hookshot/044aadd"),
        ("content-type", "application/json"),
        ("x-github-event", "push"),
        ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        ("cf-ray", "8f0000000000abcd-SGN"),
        ("cf-connecting-ip", "203.0.113.7"),
    ];
    let headers = common
        .into_iter()
        .map(|(name, value)| (name, value.to_owned()))
        .chain(proof.iter().cloned())
        .collect();
    Inbound {
        method: "POST".into(),
        url: "https://hooks.example.com/in/wh_a".into(),
        headers,
        body,
        ..Inbound::default()
    }
}

fn github_post(secret: &str) -> Inbound {
    let mut body =
        br#"{"ref":"refs/heads/main","commits":[{"id":"1","author":{"name":"A"}}],"note":""#
            .to_vec();
    body.resize(BODY_BYTES - 2, b'x');
    body.extend(br#""}"#);
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(&body);
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    post(body, &[("x-hub-signature-256", signature)])
}

fn casso_post(transactions: usize) -> Inbound {
    let one = |n| {
        format!(
            r#"{{"id":{n},"tid":"FT{n}","description":"DH{n} thanh toán đơn hàng","amount":250000,"cusum_balance":1250000,"when":"2026-11-20 09:15:00","bank_sub_acc_id":"19034567890011","bankName":"Techcombank"}}"#
        )
    };
    let all: Vec<String> = (1..=transactions).map(one).collect();
    let body = format!(r#"{{"error":0,"data":[{}]}}"#, all.join(","));
    post(body.into_bytes(), &[("secure-token", SECRET.into())])
}

fn proven(webhook: &Webhook, inbound: &Inbound, events: usize, times: u64) {
    for _ in 0..times {
        let intake = receive::receive(black_box(webhook), black_box(inbound), START);
        let intake = intake.expect("it is authentic");
        assert_eq!(black_box(intake).events.len(), events);
    }
}

fn github(times: u64) {
    proven(&of("github"), &github_post(SECRET), 1, times);
}

fn forged(times: u64) {
    let (webhook, inbound) = (of("github"), github_post("another"));
    for _ in 0..times {
        let refused = receive::receive(black_box(&webhook), black_box(&inbound), START);
        assert!(black_box(refused).is_err());
    }
}

fn casso_one(times: u64) {
    proven(&of("casso"), &casso_post(1), 1, times);
}

fn casso_batch(times: u64) {
    proven(&of("casso"), &casso_post(100), 100, times);
}

fn sample(n: u64) -> Accept {
    accept(vec![event(&n.to_string(), &[b'x'; BODY_BYTES])])
}

fn message(times: u64) {
    let message = sample(1);
    for _ in 0..times {
        let bytes = black_box(&message).to_bytes().expect("it can be written");
        black_box(Accept::from_bytes(&bytes).expect("it can be read"));
    }
}

fn open() -> (NativeDatabase, Mailbox) {
    let db = NativeDatabase::in_memory().expect("memory for a database");
    let mut mailbox = Mailbox::open(&db, None, START).expect("a new database");
    let configured = mailbox.configure(&db, &webhook(1), 0, START);
    configured.expect("a configuration");
    (db, mailbox)
}

fn lease(db: &NativeDatabase, mailbox: &mut Mailbox) -> Job {
    let jobs = mailbox.lease(db, START, 6).expect("a lease");
    jobs.into_iter().next().expect("an event is due")
}

fn mailbox(times: u64) {
    let (db, mut mailbox) = open();
    mailbox.woken();
    mailbox.begin_run();
    for n in 0..times {
        let accepted = mailbox.accept(&db, &sample(n), START);
        black_box(accepted.expect("it is stored"));
        let job = lease(&db, &mut mailbox);
        let taken = mailbox.finish(&db, &job, verdict(&job, 200, START), START, 0.0);
        taken.expect("it is written down");
    }
}

fn duplicate(times: u64) {
    let (db, mut mailbox) = open();
    let again = sample(1);
    for _ in 0..=times {
        let accepted = mailbox.accept(&db, black_box(&again), START);
        black_box(accepted.expect("it is judged"));
    }
}

fn outgoing(times: u64) {
    let (db, mut mailbox) = open();
    mailbox
        .accept(&db, &sample(1), START)
        .expect("it is stored");
    let job = lease(&db, &mut mailbox);
    let webhook = webhook(1);
    let destination = webhook.destinations.first().expect("it has one");
    let credentials: Vec<&str> = providers::all_credential_headers().collect();
    let station = Station::default();
    for _ in 0..times {
        let job = black_box(&job);
        let request = relay::outgoing(
            &webhook,
            destination,
            job,
            &credentials,
            &station,
            "0.1.0",
            START,
        );
        black_box(request.expect("it may leave"));
    }
}
