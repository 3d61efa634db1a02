//! Bodies are bytes from end to end: whatever they hold, they arrive as they came,
//! also when they are sent again, and the operator can look at them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compress, Compression, FlushCompress, write::GzEncoder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::io::Write as _;
use tram_tests::{Origin, Received, Reply, Station, Webhook, casso, github_signature, transaction};

const MIB: usize = 1_048_576;

fn github(station: &Station, origin: &Origin) -> Webhook {
    station.create_webhook(&json!({
        "provider": "github", "webhook_url": origin.url("/hook"),
        "retry": {"schedule": "custom", "delays_seconds": [0.2, 0.2, 0.2]}
    }))
}

/// Posts these bytes as GitHub would sign them; the event's id.
#[track_caller]
fn post(station: &Station, webhook: &Webhook, body: &[u8]) -> String {
    let signature = github_signature(&webhook.secret, body);
    let headers = [
        ("x-hub-signature-256", signature.as_str()),
        ("content-type", "application/octet-stream"),
    ];
    let answer = station.post(&webhook.path, &headers, body);
    answer.assert_taken("accepted").remove(0)
}

#[track_caller]
fn assert_same(received: &Received, sent: &[u8]) {
    assert_eq!(received.body.len(), sent.len());
    assert_eq!(Sha256::digest(&received.body), Sha256::digest(sent));
    assert!(received.body == sent);
}

/// Bytes without a pattern: xorshift from a fixed seed.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    })
    .take(length)
    .collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Packed as zlib does, or without its head.
fn deflate(bytes: &[u8], has_head: bool) -> Vec<u8> {
    let mut packer = Compress::new(Compression::best(), has_head);
    let mut packed = Vec::with_capacity(bytes.len() + 100);
    packer
        .compress_vec(bytes, &mut packed, FlushCompress::Finish)
        .unwrap();
    packed
}

/// The transactions 101 to 104, and a great many zeros: see `vectors/encodings/make.mjs`.
const BROTLI: &[u8] = include_bytes!("../vectors/encodings/batch.br");
const ZSTD: &[u8] = include_bytes!("../vectors/encodings/batch.zst");
const BROTLI_BOMB: &[u8] = include_bytes!("../vectors/encodings/zeros.br");
const ZSTD_BOMB: &[u8] = include_bytes!("../vectors/encodings/zeros.zst");
const ZSTD_WIDE: &[u8] = include_bytes!("../vectors/encodings/wide.zst");

/// A JSON text and blanks of four kinds without a pattern, which pack to a quarter.
fn padded(json: &str, length: usize) -> Vec<u8> {
    let blanks = noise(length - json.len());
    let blanks = blanks.iter().map(|byte| b" \t\r\n"[usize::from(byte % 4)]);
    json.bytes().chain(blanks).collect()
}

/// 1,008 MiB of zeros, a little less than 1 MiB as gzip.
fn bomb() -> Vec<u8> {
    // Nothing looks back past a full flush: what is packed once may stand many times.
    let mut packer = Compress::new(Compression::best(), false);
    let mut packed = Vec::with_capacity(MIB);
    packer
        .compress_vec(&vec![0; 16 * MIB], &mut packed, FlushCompress::Full)
        .unwrap();
    assert_eq!(packer.total_in(), 16 * MIB as u64);
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 0xff];
    // An empty last block; nobody comes to the checksum that would follow.
    [&head[..], &packed.repeat(63), &[3, 0], &[0; 8]].concat()
}

/// Everything strange that is still a body.
fn strange() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("empty", Vec::new()),
        ("one byte that is no UTF-8", vec![0xff]),
        ("every byte", (0..=255).collect()),
        ("NULs alone", vec![0; 1_000]),
        ("NULs in JSON", b"{\"a\":\"\0\"}\0".to_vec()),
        ("a byte order mark", b"\xef\xbb\xbf{\"id\":1}".to_vec()),
        ("a byte order mark of UTF-16", b"\xff\xfe{\0}\0".to_vec()),
        (
            "half a surrogate pair as bytes",
            b"\"\xed\xa0\x80\"".to_vec(),
        ),
        ("UTF-8 cut in a letter", "đơn hàng".as_bytes()[..6].to_vec()),
        ("line ends of all kinds", b"\r\n\n\r\r\n\n".to_vec()),
        ("blanks around", b"  {\"a\" : 1.0}  \n".to_vec()),
        ("Vietnamese", "Nguyễn Thị Ánh chuyển tiền 🧾".into()),
        ("at the edge of a row", noise(4_096)),
        ("beyond the edge of a row", noise(4_097)),
        ("1 MiB", noise(MIB)),
    ]
}

#[test]
fn every_body_arrives_byte_for_byte_also_when_it_is_sent_again() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = github(&station, &origin);
    for (what, body) in strange() {
        origin.forget();
        origin.then(Reply::status(500));
        let id = post(&station, &webhook, &body);
        let _ = station.wait_for_status(&id, "delivered");
        let [first, second] = &origin.received()[..] else {
            panic!("{what}: {} requests", origin.count());
        };
        for request in [first, second] {
            assert_same(request, &body);
            assert_eq!(
                request.header("content-type"),
                Some("application/octet-stream")
            );
        }
        assert_eq!(second.header("x-tram-attempt"), Some("2"), "{what}");
    }
}

#[test]
fn the_operator_sees_text_as_text_and_the_rest_in_base64() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = github(&station, &origin);
    for (what, body) in strange() {
        let event = station.event(&post(&station, &webhook, &body));
        match std::str::from_utf8(&body) {
            Ok(text) => {
                assert_eq!(event["body"], text, "{what}");
                assert_eq!(event["body_base64"], Value::Null, "{what}");
            }
            Err(_) => {
                assert_eq!(event["body"], Value::Null, "{what}");
                let shown = event["body_base64"].as_str().unwrap();
                assert!(STANDARD.decode(shown).unwrap() == body, "{what}");
            }
        }
    }
}

#[test]
fn what_is_compressed_is_read_and_relayed_as_it_came() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook(&origin);
    let plain = casso(&[transaction(1)]);
    let compressed = gzip(plain.as_bytes());
    for coding in ["gzip", "GZIP", " gzip "] {
        let headers = [("content-encoding", coding)];
        let answer = station.post_casso_with(&webhook, &headers, &compressed);
        if coding != "gzip" {
            answer.assert_taken("duplicate");
            continue;
        }
        let ids = answer.assert_taken("accepted");
        let event = station.wait_for_status(&ids[0], "delivered");
        assert_eq!(event["object_id"], "1");
        assert_eq!(event["summary"]["amount"], "100001");
    }
    // The same transaction, uncompressed.
    station
        .post_casso(&webhook, &plain)
        .assert_taken("duplicate");
    let [request] = &origin.received()[..] else {
        panic!("{} requests", origin.count());
    };
    assert_same(request, &compressed);
    assert_eq!(request.header("content-encoding"), Some("gzip"));
}

#[test]
fn what_is_cut_out_of_a_compressed_batch_is_not_compressed() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook(&origin);
    let compressed = gzip(casso(&[transaction(1), transaction(2)]).as_bytes());
    let headers = [("content-encoding", "gzip")];
    let ids = station
        .post_casso_with(&webhook, &headers, &compressed)
        .assert_taken("accepted");
    assert_eq!(ids.len(), 2);
    let mut requests = origin.wait_for(2);
    requests.sort_by_key(Received::text);
    for (request, id) in requests.iter().zip(1..) {
        assert_eq!(request.text(), casso(&[transaction(id)]));
        assert_eq!(request.header("content-encoding"), None);
    }
}

#[test]
fn a_compressed_body_may_be_signed_before_or_after() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = github(&station, &origin);
    let plain = br#"{"action":"opened"}"#;
    let compressed = gzip(plain);
    for (delivery, signed) in [("a", &plain[..]), ("b", &compressed)] {
        let signature = github_signature(&webhook.secret, signed);
        let headers = [
            ("x-hub-signature-256", signature.as_str()),
            ("x-github-delivery", delivery),
            ("content-encoding", "gzip"),
        ];
        let answer = station.post(&webhook.path, &headers, &compressed);
        answer.assert_taken("accepted");
    }
    for request in origin.wait_for(2) {
        assert_same(&request, &compressed);
    }
}

#[test]
fn what_cannot_be_decompressed_is_one_event_of_its_bytes() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook(&origin);
    let batch = casso(&[transaction(1), transaction(2)]);
    let whole = gzip(batch.as_bytes());
    let mut corrupt = whole.clone();
    corrupt[20] ^= 0x55;
    // The fault is behind most or all of it.
    let long = gzip(&padded(&batch, MIB));
    assert!(long.len() > MIB / 5, "{} bytes", long.len());
    let mut wrong_checksum = long.clone();
    *wrong_checksum.iter_mut().nth_back(7).unwrap() ^= 0x55;
    let zlib = deflate(batch.as_bytes(), true);
    for (coding, body) in [
        ("gzip", whole[..whole.len() / 2].to_vec()),
        ("gzip", corrupt),
        ("gzip", long[..long.len() - 1].to_vec()),
        ("gzip", long[..long.len() / 2].to_vec()),
        ("gzip", wrong_checksum),
        ("gzip", [&whole[..], b"garbage"].concat()),
        ("gzip", [&long[..], b"garbage"].concat()),
        ("deflate", [&zlib[..], &zlib].concat()),
        ("br", whole.clone()),
        ("br", [BROTLI, b"garbage"].concat()),
        ("zstd", [ZSTD, ZSTD].concat()),
        ("gzip, gzip", gzip(&padded(&batch, 1_000))),
    ] {
        origin.forget();
        let headers = [("content-encoding", coding)];
        let answer = station.post_casso_with(&webhook, &headers, &body);
        let ids = answer.assert_taken("accepted");
        assert_eq!(ids.len(), 1, "{coding}");
        assert_same(&origin.wait_for(1)[0], &body);
        let answer = station.post_casso_with(&webhook, &headers, &body);
        answer.assert_taken("duplicate");
    }
    // What is announced as compressed and is not is read as it is.
    let plain = casso(&[transaction(3), transaction(4)]);
    let ids = station
        .post_casso_with(&webhook, &[("content-encoding", "gzip")], plain)
        .assert_taken("accepted");
    assert_eq!(ids.len(), 2);
    // Nothing of it has harmed the station.
    let ids = station
        .post_casso_with(&webhook, &[("content-encoding", "gzip")], &whole)
        .assert_taken("accepted");
    assert_eq!(ids.len(), 2);
}

#[test]
fn what_is_decompressed_may_be_as_long_as_a_body() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook(&origin);
    let batch = |first| casso(&[transaction(first), transaction(first + 1)]);
    let mut packed_well = batch(1).into_bytes();
    packed_well.resize(MIB, b' ');
    let packed_badly = padded(&batch(3), MIB);
    for plain in [packed_well, packed_badly] {
        let answer =
            station.post_casso_with(&webhook, &[("content-encoding", "gzip")], gzip(&plain));
        assert_eq!(answer.assert_taken("accepted").len(), 2);
    }
}

#[test]
fn every_coding_is_read_and_relayed_as_it_came() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook(&origin);
    let batch = |first| casso(&[transaction(first), transaction(first + 1)]);
    let packed = |first| gzip(batch(first).as_bytes());
    let zlib = |first, has_head| deflate(batch(first).as_bytes(), has_head);
    for (coding, body) in [
        ("gzip", packed(1)),
        ("x-gzip", packed(3)),
        ("deflate", zlib(5, true)),
        // Without its head, as some senders have it.
        ("deflate", zlib(7, false)),
        ("identity", batch(9).into_bytes()),
        ("gzip, identity", packed(11)),
        ("gzip, gzip", gzip(&packed(13))),
        ("deflate, gzip", gzip(&zlib(15, true))),
        // Several members are one file (RFC 1952, section 2.2).
        ("gzip", [packed(17), gzip(b" ")].concat()),
        ("br", BROTLI.to_vec()),
        ("zstd", ZSTD.to_vec()),
    ] {
        let headers = [("content-encoding", coding)];
        let answer = station.post_casso_with(&webhook, &headers, &body);
        assert_eq!(answer.assert_taken("accepted").len(), 2, "{coding}");
        let answer = station.post_casso_with(&webhook, &headers, &body);
        answer.assert_taken("duplicate");
    }
    // Not a batch, it is relayed packed as it came.
    let single = deflate(casso(&[transaction("alone")]).as_bytes(), true);
    let headers = [("content-encoding", "deflate")];
    station
        .post_casso_with(&webhook, &headers, &single)
        .assert_taken("accepted");
    let requests = origin.wait_for(23);
    let alone = requests.iter().find(|one| one.body == single);
    let coding = alone.and_then(|one| one.header("content-encoding"));
    assert_eq!(coding, Some("deflate"));
}

#[test]
fn what_unpacks_beyond_the_limit_is_refused_like_any_body_over_it() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook(&origin);
    let batch = casso(&[transaction(1), transaction(2)]);
    let mut over_the_limit = batch.clone().into_bytes();
    over_the_limit.resize(MIB + 1, b' ');
    for (coding, body) in [
        ("gzip", gzip(&over_the_limit)),
        ("gzip", gzip(&padded(&batch, MIB + 1))),
        ("deflate", deflate(&over_the_limit, true)),
        ("deflate", deflate(&over_the_limit, false)),
        ("br", BROTLI_BOMB.to_vec()),
        ("zstd", ZSTD_BOMB.to_vec()),
        ("zstd", ZSTD_WIDE.to_vec()),
        // Whatever stands between, or comes out of it in the end.
        ("gzip, gzip", gzip(&gzip(&over_the_limit))),
        ("gzip, gzip", gzip(&over_the_limit)),
    ] {
        let headers = [("content-encoding", coding)];
        station
            .post_casso_with(&webhook, &headers, &body)
            .assert_refused(413, "body_too_large");
    }
    let empty: [Value; 0] = [];
    assert_eq!(station.events(&webhook), empty);
}

#[test]
fn a_coding_that_is_not_known_is_refused() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook(&origin);
    let body = casso(&[transaction(1)]);
    for coding in [
        "compress",
        "gzip, compress",
        "aes128gcm",
        "*",
        "gzip;q=1",
        "gzip, gzip, gzip, gzip",
        &"a".repeat(8_192),
    ] {
        let headers = [("content-encoding", coding)];
        let answer = station.post_casso_with(&webhook, &headers, &body);
        answer.assert_refused(415, "unsupported_encoding");
        let known = answer.header("accept-encoding");
        assert_eq!(known, Some("gzip, deflate, br, zstd"), "{coding}");
    }
    let empty: [Value; 0] = [];
    assert_eq!(station.events(&webhook), empty);
    assert_eq!(origin.count(), 0);
}

/// Anybody may send this, without a secret: where the sender signs what is in a body, it
/// is decoded before the sender is proven.
#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "memory is read from /proc")]
fn a_gigabyte_behind_a_body_is_not_unpacked() {
    let (station, origin) = (Station::start(), Origin::start());
    let webhook = station.casso_webhook(&origin);
    let gzipped = [("content-encoding", "gzip")];
    let bomb = bomb();
    assert!(bomb.len() <= MIB, "it would be refused as it came");
    // What is needed for any body of that length.
    station
        .post_casso_with(&webhook, &gzipped, gzip(&noise(MIB / 2)))
        .assert_taken("accepted");
    let before = station.peak_memory();
    let answer = station.post(&webhook.path, &gzipped, &bomb);
    answer.assert_problem(401, "unauthenticated");
    for (coding, bomb) in [
        ("gzip", &bomb[..]),
        ("br", BROTLI_BOMB),
        ("zstd", ZSTD_BOMB),
        ("zstd", ZSTD_WIDE),
    ] {
        let headers = [("content-encoding", coding)];
        let answer = station.post_casso_with(&webhook, &headers, bomb);
        answer.assert_refused(413, "body_too_large");
    }
    // Signed, so that what is behind it has to be looked at.
    let signing = github(&station, &origin);
    let forged = github_signature("somebody-else-s", &bomb);
    let headers = [("x-hub-signature-256", forged.as_str()), gzipped[0]];
    let answer = station.post(&signing.path, &headers, &bomb);
    answer.assert_refused(413, "body_too_large");
    let risen = station.peak_memory() - before;
    assert!(risen < 200 * MIB as u64, "{} MiB more", risen / MIB as u64);
}
