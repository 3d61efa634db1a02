//! What it costs to prove a sender, against the keyed hash alone.
//!
//! `cargo bench -p tram-core --bench verification` prints for each scheme the ratio
//! to one HMAC of the same algorithm over the same number of bytes, and fails where
//! that is over its bound; then criterion measures each by itself. The two sides of a
//! ratio are measured in turn, now one first and now the other, so that a machine that
//! is busy with something else is so for both.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a measurement reads the clock and may stop"
)]

#[path = "../tests/samples/mod.rs"]
mod samples;

use criterion::Criterion;
use samples::{AT, SECRET, Sample, webhook};
use std::{
    fmt::Write as _,
    hint::black_box,
    time::{Duration, Instant},
};
use tram_core::{
    inbound::{Inbound, Refusal},
    providers,
    secret::Secret,
    signature,
    time::Timestamp,
    webhook::Algorithm,
};

const BODY_BYTES: usize = 2_048;

/// Pairs of measurements per scheme; their median ratio counts.
const PAIRS: usize = 2_001;
/// How long one side of a pair is measured: much shorter than the time that a process
/// is given at once, so that most pairs are not broken into.
const BATCH: Duration = Duration::from_micros(150);

/// Every scheme that signs, with the greatest ratio that is good enough.
const SCHEMES: [(&str, f64); 11] = [
    ("github", 1.5),
    ("stripe", 1.5),
    ("shopify", 1.5),
    ("standard-webhooks", 1.5),
    ("svix", 1.5),
    ("thueapi", 1.5),
    ("sepay-hmac", 1.5),
    ("beepay", 1.5),
    ("custom", 1.5),
    ("casso-v2", 4.0),
    ("payos", 8.0),
];

/// What a request with a transaction says, in as many bytes, written as senders do.
fn body(provider: &str) -> String {
    let mut members = String::from(
        r#""id":218897,"reference":"FT24277123456","description":"Nguyễn Văn A chuyển tiền đơn 7","amount":599000,"runningBalance":25000000,"transactionDateTime":"2024-10-03 15:06:37","accountNumber":"88888888","bankName":"VPBank","bankAbbreviation":"VPB","virtualAccountNumber":"","counterAccountName":"NGUYEN VAN A","counterAccountNumber":"8888888888","counterAccountBankId":"970415""#,
    );
    for number in 0..40 {
        write!(members, r#","field{number}":"value {number} of it""#).unwrap();
    }
    let write = |note: &str| match provider {
        "casso-v2" => format!(r#"{{"error":0,"data":{{{members},"note":"{note}"}}}}"#),
        _ => format!(r#"{{{members},"note":"{note}"}}"#),
    };
    let sent = Sample::saying(provider, "msg_1", AT, write("")).body;
    let missing = BODY_BYTES.checked_sub(sent.len()).expect("fewer members");
    write(&"x".repeat(missing))
}

fn request(provider: &str) -> Inbound {
    let mut inbound = Sample::saying(provider, "msg_1", AT, body(provider)).inbound();
    assert_eq!(inbound.body.len(), BODY_BYTES, "{provider}");
    // What else a request carries: headers are searched one by one.
    for (name, value) in [
        ("accept", "*/*"),
        ("content-type", "application/json"),
        ("user-agent", "provider/1.0"),
        ("cf-connecting-ip", "192.0.2.1"),
        ("x-forwarded-proto", "https"),
    ] {
        inbound.headers.push(name, value);
    }
    inbound
}

fn algorithm(provider: &str) -> Algorithm {
    match provider {
        "casso-v2" => Algorithm::Sha512,
        _ => Algorithm::Sha256,
    }
}

/// One keyed hash of the body and nothing else.
fn floor(algorithm: Algorithm, body: &[u8]) {
    let mac = signature::keyed_hash(algorithm, black_box(SECRET.as_bytes()), &[black_box(body)]);
    black_box(mac);
}

/// Nanoseconds of one call, over a batch of `calls`.
fn timed(calls: u32, work: &dyn Fn()) -> f64 {
    let start = Instant::now();
    for _ in 0..calls {
        work();
    }
    start.elapsed().as_nanos() as f64 / f64::from(calls)
}

/// How many calls fill a batch.
fn calls(work: &dyn Fn()) -> u32 {
    let mut calls = 1_u32;
    // The quickest of several: what broke into one of them is not counted.
    let quickest = |calls| {
        let runs = (0..5).map(|_| timed(calls, work));
        runs.fold(f64::INFINITY, f64::min)
    };
    while quickest(calls) * f64::from(calls) < BATCH.as_nanos() as f64 {
        calls *= 2;
    }
    calls
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn table() -> bool {
    println!("verification of a body of {BODY_BYTES} bytes, medians of {PAIRS} pairs\n");
    println!("| scheme | one HMAC | verification | ratio | bound |\n|---|---|---|---|---|");
    let mut is_good = true;
    for (provider, bound) in SCHEMES {
        let (webhook, inbound) = (webhook(provider, '0', SECRET), request(provider));
        let now = Timestamp::from_seconds(AT);
        let verify = || {
            let proven = providers::authenticate(black_box(&webhook), black_box(&inbound), now);
            assert!(proven.is_ok(), "{provider}");
        };
        let floor = || floor(algorithm(provider), &inbound.body);
        let (floor_calls, calls) = (calls(&floor), calls(&verify));
        let pairs: Vec<_> = (0..PAIRS)
            .map(|pair| {
                if pair % 2 == 0 {
                    (timed(floor_calls, &floor), timed(calls, &verify))
                } else {
                    let whole = timed(calls, &verify);
                    (timed(floor_calls, &floor), whole)
                }
            })
            .collect();
        let of = |each: fn(&(f64, f64)) -> f64| median(pairs.iter().map(each).collect());
        let (alone, whole, ratio) = (of(|it| it.0), of(|it| it.1), of(|it| it.1 / it.0));
        let verdict = if ratio > bound { " missed" } else { "" };
        println!(
            "| `{provider}` | {alone:.0} ns | {whole:.0} ns | {ratio:.2} | {bound}{verdict} |"
        );
        is_good &= ratio <= bound;
    }
    println!();
    is_good
}

/// How much longer than a forgery of GitHub's, the plainest scheme, one of any other may
/// take: five notations, each up to six times as long as it came, of a quarter of the
/// bytes, by a slower hash.
const MOST_OF_A_FORGERY: f64 = 12.0;

/// The longest forgery that is looked at, of letters that every writer writes otherwise.
fn longest_forgery(provider: &str) -> Inbound {
    let most = match provider {
        "casso-v2" | "payos" => providers::MOST_READ_UNPROVEN,
        _ => 1 << 20,
    };
    let saying = |note: &str| {
        let body = format!(r#"{{"note":"{note}"}}"#);
        Sample::saying(provider, "msg_1", AT, body)
    };
    let missing = most - saying("").body.len();
    let inbound = saying(&("đ/<".repeat(missing / 4) + &"x".repeat(missing % 4))).inbound();
    assert_eq!(inbound.body.len(), most, "{provider}");
    inbound
}

/// What the most expensive request costs that nobody has signed, with as many secrets as
/// there may be.
fn forgeries() -> bool {
    println!("| longest forgery | time | ratio to github's | bound |\n|---|---|---|---|");
    let mut github = f64::NAN;
    let mut is_good = true;
    for (provider, _) in SCHEMES {
        let mut webhook = webhook(provider, '0', SECRET);
        webhook.secrets = (b'a'..=b'c')
            .map(|letter| {
                Secret::new(format!(
                    "whsec_{}",
                    char::from(letter).to_string().repeat(32)
                ))
            })
            .collect();
        let inbound = longest_forgery(provider);
        let now = Timestamp::from_seconds(AT);
        let work = || {
            let refused = providers::authenticate(black_box(&webhook), black_box(&inbound), now);
            assert_eq!(refused.err(), Some(Refusal::WrongSecretOrAlteredBody));
        };
        // Long enough to be broken into: the quickest of many tells what it takes.
        let runs = (0..40).map(|_| timed(1, &work) / 1e6);
        let quickest = runs.fold(f64::INFINITY, f64::min);
        if provider == "github" {
            github = quickest;
        }
        let ratio = quickest / github;
        let verdict = if ratio > MOST_OF_A_FORGERY {
            " missed"
        } else {
            ""
        };
        println!(
            "| `{provider}`, {} KiB | {quickest:.2} ms | {ratio:.2} | {MOST_OF_A_FORGERY}{verdict} |",
            inbound.body.len() / 1_024
        );
        is_good &= ratio <= MOST_OF_A_FORGERY;
    }
    println!();
    is_good
}

/// What the closer look at a forgery costs, which is for few: of a body that every
/// writer writes otherwise, with as many secrets as there may be.
fn diagnosis() {
    println!("| diagnosis of a forged body | time |\n|---|---|");
    for kilobytes in [2, 64, 150, 255] {
        let element = r#"{"id":9,"note":"Đơn <7>\/\u007f"}"#;
        let elements = vec![element; kilobytes * 1_024 / (element.len() + 1)];
        let mut webhook = webhook("github", '0', SECRET);
        webhook.secrets = (b'a'..=b'c')
            .map(|letter| Secret::new(char::from(letter).to_string()))
            .collect();
        let inbound =
            Sample::saying("github", "x", AT, format!("[{}]", elements.join(","))).inbound();
        let now = Timestamp::from_seconds(AT);
        let work = || {
            let why = Refusal::WrongSecretOrAlteredBody;
            let told = providers::diagnose(black_box(&webhook), black_box(&inbound), now, why);
            assert_eq!(told, Refusal::WrongSecretOrAlteredBody);
        };
        // Long enough to be broken into: the quickest of many tells what it takes.
        let runs = (0..40).map(|_| timed(1, &work) / 1e6);
        let quickest = runs.fold(f64::INFINITY, f64::min);
        println!("| {kilobytes} KiB | {quickest:.2} ms |");
    }
    println!();
}

fn main() {
    // A profiler wants to see one scheme alone.
    let profiled = std::env::args().any(|argument| argument == "--profile-time");
    // Each says all that it has to say.
    let is_good = profiled || table() & forgeries();
    if !profiled {
        diagnosis();
    }
    let mut criterion = Criterion::default()
        .measurement_time(Duration::from_secs(2))
        .warm_up_time(Duration::from_millis(500))
        .configure_from_args();
    let mut group = criterion.benchmark_group("verification");
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let body = request("github").body;
        group.bench_function(format!("floor/{algorithm:?}"), |bench| {
            bench.iter(|| floor(algorithm, &body));
        });
    }
    for (provider, _) in SCHEMES {
        let (webhook, inbound) = (webhook(provider, '0', SECRET), request(provider));
        let now = Timestamp::from_seconds(AT);
        group.bench_function(provider, |bench| {
            bench.iter(|| {
                let proven = providers::authenticate(black_box(&webhook), black_box(&inbound), now);
                assert!(proven.is_ok(), "{provider}");
            });
        });
    }
    group.finish();
    criterion.final_summary();
    assert!(is_good, "a bound is missed");
}
