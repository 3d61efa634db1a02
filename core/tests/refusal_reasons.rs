//! Why a request was refused, told of every provider that signs: each reason where it
//! can occur, and that what the operator reads helps and gives nothing away.

#[cfg(test)]
mod samples;

#[cfg(test)]
mod reasons {
    use crate::samples::{AT, SECRET, Sample, body, ids, webhook};
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use serde_json::{Value, json};
    use sha2::Sha256;
    use tram_core::{
        inbound::Inbound,
        providers::{self, Proof},
        receive,
        secret::Secret,
        signature,
        time::Timestamp,
        webhook::{Algorithm, Encoding, Webhook},
    };

    /// Where a provider's signature stands, and how.
    #[derive(Clone, Copy)]
    struct Scheme {
        provider: &'static str,
        /// Empty: it is the member `signature` of the body.
        header: &'static str,
        /// What stands in the field before the signature.
        before: &'static str,
        encoding: Encoding,
        /// The field with the time that is signed.
        time: &'static str,
    }

    const fn hex(
        provider: &'static str,
        header: &'static str,
        before: &'static str,
        time: &'static str,
    ) -> Scheme {
        Scheme {
            provider,
            header,
            before,
            encoding: Encoding::Hex,
            time,
        }
    }

    const fn base64(
        provider: &'static str,
        header: &'static str,
        before: &'static str,
        time: &'static str,
    ) -> Scheme {
        Scheme {
            encoding: Encoding::Base64,
            ..hex(provider, header, before, time)
        }
    }

    const SCHEMES: [Scheme; 11] = [
        hex("casso-v2", "x-casso-signature", "v1=", "x-casso-signature"),
        hex(
            "sepay-hmac",
            "x-sepay-signature",
            "sha256=",
            "x-sepay-timestamp",
        ),
        hex("thueapi", "x-webhook-signature", "", ""),
        hex("beepay", "x-webhook-signature", "sha256=", ""),
        hex("payos", "", "", ""),
        base64(
            "standard-webhooks",
            "webhook-signature",
            "v1,",
            "webhook-timestamp",
        ),
        base64("svix", "svix-signature", "v1,", "svix-timestamp"),
        hex("github", "x-hub-signature-256", "sha256=", ""),
        hex("stripe", "stripe-signature", "v1=", "stripe-signature"),
        base64("shopify", "x-shopify-hmac-sha256", "", ""),
        hex("custom", "x-sig", "", "x-time"),
    ];

    const WRONG: &str = "wrong_secret_or_altered_body";
    const MARK: &str = "nobody but the shop may read this";

    impl Scheme {
        /// The time and its field are not in the signature's own.
        fn has_time_header(self) -> bool {
            !self.time.is_empty() && self.time != self.header
        }

        /// The body's bytes are signed.
        fn signs_bytes(self) -> bool {
            !matches!(self.provider, "casso-v2" | "payos")
        }

        fn webhook(self) -> Webhook {
            webhook(self.provider, '0', SECRET)
        }

        fn request(self) -> Inbound {
            Sample::of(self.provider, "msg_1", AT).inbound()
        }

        /// A request that says this, signed as these bytes.
        fn saying(self, body: &str) -> Inbound {
            Sample::saying(self.provider, "msg_1", AT, body.to_owned()).inbound()
        }

        /// What the signature's field holds.
        fn field(self, inbound: &Inbound) -> String {
            if self.header.is_empty() {
                let body: Value = serde_json::from_slice(&inbound.body).unwrap();
                return body["signature"].as_str().unwrap().to_owned();
            }
            inbound.headers.get(self.header).unwrap().to_owned()
        }

        /// The same request with this in the signature's field.
        fn with_field(self, inbound: &Inbound, field: &str) -> Inbound {
            let mut other = inbound.clone();
            if self.header.is_empty() {
                let body = String::from_utf8(inbound.body.clone()).unwrap();
                let old = self.field(inbound);
                other.body = body.replace(&old, field).into_bytes();
            } else {
                other.headers.set(self.header, field);
            }
            other
        }

        /// The signature alone, as the provider writes it.
        fn signature(self, inbound: &Inbound) -> String {
            let field = self.field(inbound);
            match field.rsplit_once(self.before) {
                Some((_, signature)) if !self.before.is_empty() => signature.to_owned(),
                _ => field,
            }
        }

        /// The same request with the signature itself written as this.
        fn with_signature(self, inbound: &Inbound, text: &str) -> Inbound {
            let field = self.field(inbound);
            self.with_field(inbound, &field.replace(&self.signature(inbound), text))
        }

        /// What is signed before the body's bytes; `None` when it is not these.
        fn signed_before_body(self) -> Option<String> {
            match self.provider {
                "standard-webhooks" | "svix" => Some(format!("msg_1.{AT}.")),
                "sepay-hmac" | "stripe" => Some(format!("{AT}.")),
                "custom" => Some(AT.to_string()),
                "thueapi" | "beepay" | "github" | "shopify" => Some(String::new()),
                "casso-v2" | "payos" => None,
                other => panic!("what does {other} sign?"),
            }
        }

        /// The bytes of the signature.
        fn mac(self, inbound: &Inbound) -> Vec<u8> {
            signature::decode(self.encoding, &self.signature(inbound)).unwrap()
        }
    }

    fn provided(provider: &str) -> &'static dyn providers::Provider {
        providers::find(provider).unwrap()
    }

    fn settings(webhook: &mut Webhook, name: &str, value: Value) {
        let mut all = serde_json::to_value(&webhook.settings).unwrap();
        all[name] = value;
        webhook.settings = serde_json::from_value(all).unwrap();
    }

    /// The reasons that are told at once and after a closer look, and the latter's words.
    /// `Ok` when it was not refused at all.
    fn judge(
        webhook: &Webhook,
        inbound: &Inbound,
        now: i64,
    ) -> Result<(), (&'static str, &'static str, String)> {
        let now = Timestamp::from_seconds(now);
        let Err(why) = providers::authenticate(webhook, inbound, now) else {
            return Ok(());
        };
        let first = why.code();
        let sharper = providers::diagnose(webhook, inbound, now, why);
        let words = sharper.to_string();
        for secret in &webhook.secrets {
            assert!(
                secret.is_empty() || !words.contains(secret.expose()),
                "{words}"
            );
        }
        assert!(!words.contains(MARK) && !words.contains("đơn 7"), "{words}");
        // Nothing that looks like a signature, and nothing that is one.
        let letters = |letter: char| !letter.is_ascii_alphanumeric();
        assert!(words.split(letters).all(|word| word.len() < 32), "{words}");
        Err((first, sharper.code(), words))
    }

    fn reason(webhook: &Webhook, inbound: &Inbound, now: i64) -> &'static str {
        judge(webhook, inbound, now).map_or_else(|(_, code, _)| code, |()| "proven")
    }

    /// The reason of a request that comes as it is made.
    fn told(scheme: Scheme, inbound: &Inbound) -> &'static str {
        reason(&scheme.webhook(), inbound, AT)
    }

    #[test]
    fn every_provider_that_signs_is_told_of() {
        for provider in ids() {
            let webhook = webhook(provider, '0', SECRET);
            let proof = provided(provider).proof(&webhook.settings);
            let scheme = SCHEMES.iter().find(|scheme| scheme.provider == provider);
            assert_eq!(proof != Proof::Token, scheme.is_some(), "{provider}");
            if let Some(scheme) = scheme {
                assert_eq!(proof == Proof::Bytes, scheme.signs_bytes(), "{provider}");
                assert_eq!(told(*scheme, &scheme.request()), "proven", "{provider}");
            }
        }
    }

    #[test]
    fn what_is_missing_or_empty_is_named() {
        for scheme in SCHEMES {
            let sent = scheme.request();
            let unsigned = ["x-github-delivery", "x-shopify-event-id"];
            for (header, _) in sent.headers.iter() {
                if unsigned.contains(&header) {
                    continue;
                }
                let mut without = sent.clone();
                without.headers.remove(header);
                let mut cases = vec![without];
                cases.extend(["", " ", "\t "].map(|blank| {
                    let mut empty = sent.clone();
                    empty.headers.set(header, blank);
                    empty
                }));
                for case in cases {
                    let (first, code, words) = judge(&scheme.webhook(), &case, AT).unwrap_err();
                    assert_eq!((first, code), ("missing_header", "missing_header"));
                    assert!(words.contains(header), "{}: {words}", scheme.provider);
                }
            }
            assert_eq!(
                told(scheme, &scheme.with_field(&sent, "")),
                "missing_header"
            );
        }
    }

    #[test]
    fn what_cannot_be_read_is_said_to_be_so_and_how_it_has_to_be() {
        for scheme in SCHEMES {
            let sent = scheme.request();
            let at = sent.headers.get(scheme.time).unwrap_or_default().to_owned();
            let mut cases = vec![
                scheme.with_signature(&sent, "%%"),
                scheme.with_signature(&sent, ""),
                scheme.with_field(&sent, "%"),
                scheme.with_field(&sent, ","),
            ];
            if scheme.has_time_header() {
                cases.extend(
                    ["now", "-1", "1.5", "1e9", "99999999999999999999"].map(|time| {
                        let mut other = sent.clone();
                        other.headers.set(scheme.time, time);
                        other
                    }),
                );
            } else if !scheme.time.is_empty() {
                let (_, signature) = at.split_once(',').unwrap();
                cases.extend(
                    ["t=now", "t=-1", "t=", "x=1", "t=1,t=1"]
                        .map(|time| scheme.with_field(&sent, &format!("{time},{signature}"))),
                );
            }
            for case in cases {
                // Nothing is left of a signature that is the whole field.
                let field = case.headers.get(scheme.header).unwrap_or("-").to_owned();
                let empty =
                    field.is_empty() || scheme.header.is_empty() && scheme.field(&case).is_empty();
                let expected = if empty {
                    "missing_header"
                } else {
                    "malformed_header"
                };
                let (first, code, words) = judge(&scheme.webhook(), &case, AT).unwrap_err();
                assert_eq!(
                    (first, code),
                    (expected, expected),
                    "{} {field}",
                    scheme.provider
                );
                let mends = ["has to", "is not", "holds no", "and one only", "check"];
                assert!(mends.iter().any(|word| words.contains(word)), "{words}");
            }
        }
    }

    #[test]
    fn signatures_of_other_versions_prove_nothing_and_are_told_apart() {
        for (provider, others) in [
            ("casso-v2", ["v0=", "v2="]),
            ("stripe", ["v0=", "v2="]),
            ("standard-webhooks", ["v1a,", "v2,"]),
            ("svix", ["v1a,", "v2,"]),
        ] {
            let scheme = *SCHEMES
                .iter()
                .find(|scheme| scheme.provider == provider)
                .unwrap();
            let sent = scheme.request();
            let field = scheme.field(&sent);
            for other in others {
                let only = field.replace(scheme.before, other);
                assert_eq!(
                    told(scheme, &scheme.with_field(&sent, &only)),
                    "unknown_version"
                );
                let separator = if scheme.before == "v1," { " " } else { "," };
                let beside = format!("{other}{}{separator}{field}", scheme.signature(&sent));
                assert_eq!(told(scheme, &scheme.with_field(&sent, &beside)), "proven");
            }
        }
    }

    #[test]
    fn times_are_judged_to_the_second_in_their_own_unit() {
        for scheme in SCHEMES.into_iter().filter(|scheme| !scheme.time.is_empty()) {
            let sent = scheme.request();
            let mut webhook = scheme.webhook();
            let at = |webhook: &Webhook, now| judge(webhook, &sent, now);
            if scheme.provider == "casso-v2" {
                assert_eq!(
                    at(&webhook, AT + 12 * 3_600),
                    Ok(()),
                    "no limit unless one is set"
                );
                settings(&mut webhook, "tolerance_seconds", json!(300));
            }
            for within in [-300, 0, 300] {
                assert_eq!(at(&webhook, AT + within), Ok(()), "{}", scheme.provider);
            }
            let (first, code, words) = at(&webhook, AT + 301).unwrap_err();
            assert_eq!((first, code), ("stale_timestamp", "stale_timestamp"));
            assert!(words.contains("signed 301 s ago"), "{words}");
            assert!(words.contains("the 300 s allowed"), "{words}");
            let (first, code, words) = at(&webhook, AT - 301).unwrap_err();
            assert_eq!((first, code), ("future_timestamp", "future_timestamp"));
            assert!(words.contains("signed 301 s in the future"), "{words}");
            // A replay with another time does not fit.
            let mut later = sent.clone();
            let field = sent.headers.get(scheme.time).unwrap();
            later
                .headers
                .set(scheme.time, field.replace("1700000000", "1700000301"));
            assert_eq!(
                reason(&webhook, &later, AT + 301),
                WRONG,
                "{}",
                scheme.provider
            );
            settings(&mut webhook, "tolerance_seconds", Value::Null);
            for extreme in [-AT, i64::MAX] {
                assert_eq!(at(&webhook, extreme), Ok(()), "{}", scheme.provider);
            }
        }
    }

    #[test]
    fn milliseconds_are_not_seconds() {
        let custom = SCHEMES[10];
        let mut webhook = custom.webhook();
        settings(&mut webhook, "timestamp_unit", json!("ms"));
        let time = (AT * 1_000).to_string();
        let mac = signature::keyed_hash(
            Algorithm::Sha256,
            SECRET.as_bytes(),
            &[time.as_bytes(), b"{}"],
        );
        let mut sent = custom.saying("{}");
        sent.headers.set("x-time", time);
        sent.headers
            .set("x-sig", signature::encode(Encoding::Hex, &mac.unwrap()));
        assert_eq!(judge(&webhook, &sent, AT + 300), Ok(()));
        let words = judge(&webhook, &sent, AT + 301).unwrap_err().2;
        assert!(words.contains("signed 301 s ago"), "{words}");
        settings(&mut webhook, "timestamp_unit", json!("s"));
        let (_, code, words) = judge(&webhook, &sent, AT).unwrap_err();
        assert_eq!(code, "future_timestamp");
        assert!(words.contains("seconds or milliseconds"), "{words}");
    }

    #[test]
    fn another_secret_or_statement_fits_nothing() {
        for scheme in SCHEMES {
            let sent = scheme.request();
            let other = webhook(
                scheme.provider,
                '0',
                "whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1v",
            );
            assert_eq!(reason(&other, &sent, AT), WRONG, "{}", scheme.provider);
            let text = String::from_utf8(sent.body.clone()).unwrap();
            let mut altered = sent.clone();
            altered.body = text.replacen("5000", "5001", 1).into_bytes();
            assert_ne!(altered.body, sent.body);
            assert_eq!(told(scheme, &altered), WRONG, "{}", scheme.provider);
            let zeros = signature::encode(scheme.encoding, &vec![0; scheme.mac(&sent).len()]);
            let zeros = scheme.with_signature(&sent, &zeros);
            assert_eq!(told(scheme, &zeros), WRONG, "{}", scheme.provider);
        }
    }

    #[test]
    fn what_is_signed_as_json_has_to_be_json_that_is_read_in_one_way() {
        for scheme in SCHEMES {
            let sent = scheme.request();
            let text = String::from_utf8(sent.body.clone()).unwrap();
            let twice = text.replacen("\"amount\":5000", "\"amount\":5000,\"amount\":1", 1);
            assert_ne!(twice, text);
            for body in ["", "a=1", "{", &twice] {
                let mut other = sent.clone();
                other.body = body.into();
                let expected = if scheme.signs_bytes() {
                    WRONG
                } else {
                    "not_json"
                };
                assert_eq!(told(scheme, &other), expected, "{} {body}", scheme.provider);
            }
        }
    }

    #[test]
    fn an_empty_secret_or_none_is_told_and_never_proves() {
        for provider in ids() {
            let sent = Sample::of(provider, "msg_1", AT).inbound();
            let mut webhook = webhook(provider, '0', "");
            assert_eq!(reason(&webhook, &sent, AT), "no_secret", "{provider}");
            webhook.secrets = vec![Secret::new(String::new()); 3];
            assert_eq!(reason(&webhook, &sent, AT), "no_secret", "{provider}");
            webhook.secrets.clear();
            assert_eq!(reason(&webhook, &sent, AT), "no_secret", "{provider}");
        }
        // Signed with the empty key, which anybody can do.
        for scheme in SCHEMES {
            let Some(before) = scheme.signed_before_body() else {
                continue;
            };
            let sent = scheme.request();
            let mut mac = Hmac::<Sha256>::new_from_slice(b"").unwrap();
            mac.update(before.as_bytes());
            mac.update(&sent.body);
            let mac = signature::encode(scheme.encoding, &mac.finalize().into_bytes());
            let forged = scheme.with_signature(&sent, &mac);
            let webhook = webhook(scheme.provider, '0', "");
            assert_eq!(
                reason(&webhook, &forged, AT),
                "no_secret",
                "{}",
                scheme.provider
            );
            let (empty, now) = (Secret::new(String::new()), Timestamp::from_seconds(AT));
            let alone = provided(scheme.provider).verify(&forged, &empty, &webhook.settings, now);
            assert!(alone.is_err(), "{}", scheme.provider);
        }
    }

    #[test]
    fn any_secret_proves() {
        let other = || Secret::new("whsec_b3RoZXI=".into());
        let right = || Secret::new(SECRET.into());
        for provider in ids() {
            let sent = Sample::of(provider, "msg_1", AT).inbound();
            let mut webhook = webhook(provider, '0', SECRET);
            for at in 0..3 {
                webhook.secrets = vec![other(); 3];
                webhook.secrets[at] = right();
                assert_eq!(judge(&webhook, &sent, AT), Ok(()), "{provider} {at}");
            }
        }
    }

    #[test]
    fn any_signature_proves_in_any_place_and_spelling_that_means_the_same() {
        for scheme in SCHEMES
            .into_iter()
            .filter(|scheme| !scheme.header.is_empty())
        {
            let sent = scheme.request();
            let (field, good) = (scheme.field(&sent), scheme.signature(&sent));
            let zeros = signature::encode(scheme.encoding, &vec![0; scheme.mac(&sent).len()]);
            let (good, bad) = (
                scheme.before.to_owned() + &good,
                scheme.before.to_owned() + &zeros,
            );
            let start = field.strip_suffix(&good).unwrap();
            let separators: &[&str] = match scheme.before {
                "v1=" => &[",", ", ", " ,\t"],
                "v1," => &[" ", "  ", ", "],
                _ => &[",", ", ", " ", "  "],
            };
            for separator in separators {
                for order in [
                    [&good, &bad, &bad],
                    [&bad, &good, &bad],
                    [&bad, &bad, &good],
                ] {
                    let list = order.map(String::as_str).join(separator);
                    // `t=…,` is separated like the rest.
                    let start = start.replace(
                        ',',
                        if separator.contains(',') {
                            separator
                        } else {
                            ","
                        },
                    );
                    let sent = scheme.with_field(&sent, &format!(" {start}{list} "));
                    assert_eq!(told(scheme, &sent), "proven", "{} {list}", scheme.provider);
                }
            }
        }
        for scheme in SCHEMES {
            let sent = scheme.request();
            let text = scheme.signature(&sent);
            let other_case: String = text
                .chars()
                .map(|letter| {
                    if letter.is_lowercase() {
                        letter.to_ascii_uppercase()
                    } else {
                        letter.to_ascii_lowercase()
                    }
                })
                .collect();
            let expected: &[_] = match scheme.encoding {
                Encoding::Hex => &["proven"],
                // The last letter may have become one that does not end base64.
                Encoding::Base64 => &[WRONG, "malformed_header"],
            };
            let code = told(scheme, &scheme.with_signature(&sent, &other_case));
            assert!(expected.contains(&code), "{}: {code}", scheme.provider);
            for name in [str::to_ascii_uppercase, capitalised] {
                let mut sent = scheme.request();
                sent.headers = sent
                    .headers
                    .iter()
                    .map(|(key, value)| (name(key), value))
                    .collect();
                assert_eq!(told(scheme, &sent), "proven", "{}", scheme.provider);
            }
        }
    }

    fn capitalised(name: &str) -> String {
        let words = name.split('-').map(|word| {
            let (first, rest) = word.split_at(1);
            first.to_ascii_uppercase() + rest
        });
        words.collect::<Vec<_>>().join("-")
    }

    /// Refused at once, and recognised at a closer look.
    fn mismatch(webhook: &Webhook, inbound: &Inbound, label: &str) -> String {
        let (first, code, words) = judge(webhook, inbound, AT).expect_err(label);
        assert!(
            [WRONG, "malformed_header", "no_secret"].contains(&first),
            "{label}: {first}"
        );
        assert_eq!(code, "encoding_mismatch", "{label} ({first})");
        words
    }

    #[test]
    fn the_right_signature_in_another_notation_is_refused_and_recognised() {
        for scheme in SCHEMES {
            let sent = scheme.request();
            let mac = scheme.mac(&sent);
            let hex = signature::encode(Encoding::Hex, &mac);
            let base64 = signature::encode(Encoding::Base64, &mac);
            let unpadded = base64.trim_end_matches('=');
            let url = base64.replace('+', "-").replace('/', "_");
            let webhook = scheme.webhook();
            let mut other = vec![
                unpadded.to_owned(),
                unpadded.replace('+', "-").replace('/', "_"),
            ];
            other.push(match scheme.encoding {
                Encoding::Hex => base64.clone(),
                Encoding::Base64 => hex.clone(),
            });
            if scheme.encoding == Encoding::Hex || url != base64 {
                other.push(url);
            }
            for text in other {
                let words = mismatch(&webhook, &scheme.with_signature(&sent, &text), &text);
                let (is, has_to_be) = match scheme.encoding {
                    Encoding::Hex => ("base64", "has to be hex"),
                    Encoding::Base64 if text == hex => ("hex", "has to be base64"),
                    Encoding::Base64 => ("base64", "has to be padded"),
                };
                assert!(words.contains(is) && words.contains(has_to_be), "{words}");
                let place = if scheme.header.is_empty() {
                    "signature (in the body)"
                } else {
                    scheme.header
                };
                assert!(words.contains(place), "{words}");
                // Also where it is too old.
                if !scheme.time.is_empty() {
                    let late = scheme.with_signature(&sent, &text);
                    assert_eq!(reason(&webhook, &late, AT + 301), "encoding_mismatch");
                }
            }
            // Another secret's signature in another notation is nothing but wrong.
            let stranger = crate::samples::webhook(scheme.provider, '0', "whsec_b3RoZXI=");
            let text = if scheme.encoding == Encoding::Hex {
                base64
            } else {
                hex
            };
            let code = reason(&stranger, &scheme.with_signature(&sent, &text), AT);
            assert!([WRONG, "malformed_header"].contains(&code), "{code}");
        }
    }

    #[test]
    fn what_stands_before_a_signature_is_recognised_when_it_is_another() {
        for scheme in SCHEMES {
            let sent = scheme.request();
            let signature = scheme.signature(&sent);
            let others: &[&str] = match (scheme.provider, scheme.before) {
                (_, "sha256=") => &["", "SHA256=", "sha256:", "v1="],
                // ThueAPI documents both.
                ("thueapi", _) => &["sha256:", "v1="],
                ("payos", _) | (_, "v1=") => continue,
                (_, "v1,") => &["", "v1=", "sha256="],
                _ => &["sha256=", "v1="],
            };
            for other in others {
                let label = format!("{} {other}", scheme.provider);
                let case = scheme.with_field(&sent, &format!("{other}{signature}"));
                let words = mismatch(&scheme.webhook(), &case, &label);
                assert!(words.contains("stands before"), "{label}: {words}");
            }
        }
    }

    #[test]
    fn the_settings_of_a_custom_webhook_are_what_it_is_measured_by() {
        let body = body("custom", "msg_1");
        for algorithm in ["sha1", "sha256", "sha512"] {
            for encoding in ["hex", "base64"] {
                for prefix in ["", "HMAC ", "sig,", "sig_"] {
                    let label = format!("{algorithm} {encoding} {prefix}");
                    let mut webhook = webhook("custom", '0', SECRET);
                    webhook.settings = serde_json::from_value(json!({"header": "x-sig",
                        "scheme": "hmac", "algorithm": algorithm, "encoding": encoding, "prefix": prefix}))
                    .unwrap();
                    let mac = signature::keyed_hash(
                        webhook.settings.algorithm.unwrap(),
                        SECRET.as_bytes(),
                        &[body.as_bytes()],
                    );
                    let mac = mac.unwrap();
                    let hex = signature::encode(Encoding::Hex, &mac);
                    let base64 = signature::encode(Encoding::Base64, &mac);
                    let (right, other) = if encoding == "hex" {
                        (hex, base64)
                    } else {
                        (base64, hex)
                    };
                    let send = |value: String| Inbound {
                        method: "POST".into(),
                        headers: [("x-sig", value)].into_iter().collect(),
                        body: body.clone().into_bytes(),
                        ..Inbound::default()
                    };
                    let proven = send(format!("{prefix}{right}"));
                    assert_eq!(judge(&webhook, &proven, AT), Ok(()), "{label}");
                    let list = send(format!("{prefix}00000000, {prefix}{right}"));
                    assert_eq!(judge(&webhook, &list, AT), Ok(()), "{label}");
                    mismatch(&webhook, &send(format!("{prefix}{other}")), &label);
                    if !prefix.is_empty() {
                        mismatch(&webhook, &send(right), &label);
                        mismatch(&webhook, &send(other), &label);
                    }
                }
            }
        }
        // Nothing of the body is signed, so no spelling of it can be the signed one.
        let mut idle = webhook("custom", '0', SECRET);
        settings(&mut idle, "signed", json!("{timestamp}"));
        assert_eq!(reason(&idle, &SCHEMES[10].request(), AT), WRONG);
    }

    #[test]
    fn a_key_that_is_the_text_of_the_secret_is_recognised() {
        for provider in ["standard-webhooks", "svix"] {
            let scheme = *SCHEMES
                .iter()
                .find(|scheme| scheme.provider == provider)
                .unwrap();
            let sent = scheme.request();
            let signed_with = |key: &str| {
                let time = AT.to_string();
                let mac =
                    signature::standard_webhooks_mac(key.as_bytes(), "msg_1", &time, &sent.body);
                scheme.with_signature(&sent, &signature::encode(Encoding::Base64, &mac.unwrap()))
            };
            let behind = SECRET.strip_prefix("whsec_").unwrap();
            for key in [SECRET, behind] {
                let words = mismatch(&scheme.webhook(), &signed_with(key), provider);
                assert!(words.contains("the secret's text"), "{words}");
            }
            let plain = webhook(provider, '0', "not base64!");
            mismatch(&plain, &signed_with("not base64!"), provider);
            assert_eq!(reason(&plain, &sent, AT), "no_secret");
            assert_eq!(told(scheme, &signed_with("another key")), WRONG);
        }
    }

    #[test]
    fn whsec_is_decoded_by_those_who_do_and_text_to_the_others() {
        let decoded = signature::whsec_key(&Secret::new(SECRET.into())).unwrap();
        let text = SECRET.as_bytes();
        for scheme in SCHEMES {
            let sent = scheme.request();
            let Some(before) = scheme.signed_before_body() else {
                continue;
            };
            let with_key = |key: &[u8]| {
                let parts = [before.as_bytes(), &sent.body];
                let mac = signature::keyed_hash(Algorithm::Sha256, key, &parts).unwrap();
                told(
                    scheme,
                    &scheme.with_signature(&sent, &signature::encode(scheme.encoding, &mac)),
                )
            };
            let expected = match scheme.provider {
                "standard-webhooks" | "svix" => ("proven", "encoding_mismatch"),
                _ => (WRONG, "proven"),
            };
            assert_eq!(
                (with_key(&decoded), with_key(text)),
                expected,
                "{}",
                scheme.provider
            );
        }
    }

    #[test]
    fn what_looks_like_a_test_call_has_to_be_proven() {
        let calls = [
            (
                "casso",
                r#"{"error":0,"data":[{"id":0,"tid":"MA_GIAO_DICH_THU_NGHIEM","amount":599000}]}"#,
            ),
            ("casso", r#"{"error":0,"data":[]}"#),
            (
                "casso-v2",
                r#"{"error":0,"data":{"id":0,"reference":"MA_GIAO_DICH_THU_NGHIEM"}}"#,
            ),
            (
                "payos",
                r#"{"orderCode":123,"description":"VQRIO123","reference":"MA_GIAO_DICH_THU_NGHIEM"}"#,
            ),
            (
                "github",
                r#"{"zen":"Keep it logically awesome.","hook_id":1}"#,
            ),
        ];
        for (provider, body) in calls {
            let mut sent = Sample::saying(provider, "msg_1", AT, body.to_owned()).inbound();
            sent.headers.push("x-github-event", "ping");
            let right = webhook(provider, '0', SECRET);
            let now = Timestamp::from_seconds(AT);
            let intake = receive::receive(&right, &sent, now).unwrap();
            assert!(intake.events[0].test, "{provider} {body}");
            let other = webhook(provider, '0', "whsec_b3RoZXI=");
            assert_eq!(reason(&other, &sent, AT), WRONG, "{provider} {body}");
        }
    }

    /// One statement as it is written by what senders are usually made of. The words
    /// are what the reason says of it.
    fn spellings() -> Vec<(&'static str, String)> {
        let text = |text: &str| text.replace("MARK", MARK);
        vec![
            (
                "without blanks",
                text(
                    r#"{"note":"MARK: Đơn <a&b>/7","id":"9","amount":5000.00,"data":[{"b":1,"a":[]},{}]}"#,
                ),
            ),
            (
                "PHP",
                text(
                    r#"{"note":"MARK: \u0110\u01a1n <a&b>\/7","id":"9","amount":5000.00,"data":[{"b":1,"a":[]},{}]}"#,
                ),
            ),
            (
                "JSON_UNESCAPED_UNICODE",
                text(
                    r#"{"note":"MARK: Đơn <a&b>\/7","id":"9","amount":5000.00,"data":[{"b":1,"a":[]},{}]}"#,
                ),
            ),
            (
                "json.dumps",
                text(
                    r#"{"note": "MARK: \u0110\u01a1n <a&b>/7", "id": "9", "amount": 5000.00, "data": [{"b": 1, "a": []}, {}]}"#,
                ),
            ),
            (
                "ensure_ascii=False",
                text(
                    r#"{"note": "MARK: Đơn <a&b>/7", "id": "9", "amount": 5000.00, "data": [{"b": 1, "a": []}, {}]}"#,
                ),
            ),
            (
                "json.dumps writes it without blanks",
                text(
                    r#"{"note":"MARK: \u0110\u01a1n <a&b>/7","id":"9","amount":5000.00,"data":[{"b":1,"a":[]},{}]}"#,
                ),
            ),
            (
                "json.Marshal",
                text(
                    r#"{"note":"MARK: Đơn \u003ca\u0026b\u003e/7","id":"9","amount":5000.00,"data":[{"b":1,"a":[]},{}]}"#,
                ),
            ),
            (
                "json.Encoder",
                text(
                    "{\"note\":\"MARK: Đơn \\u003ca\\u0026b\\u003e/7\",\"id\":\"9\",\"amount\":5000.00,\"data\":[{\"b\":1,\"a\":[]},{}]}\n",
                ),
            ),
            (
                "by two blanks",
                text(
                    "{\n  \"note\": \"MARK: Đơn <a&b>/7\",\n  \"id\": \"9\",\n  \"amount\": 5000.00,\n  \"data\": [\n    {\n      \"b\": 1,\n      \"a\": []\n    },\n    {}\n  ]\n}",
                ),
            ),
            (
                "two blanks, with a line break",
                text(
                    "{\n  \"note\": \"MARK: Đơn <a&b>/7\",\n  \"id\": \"9\",\n  \"amount\": 5000.00,\n  \"data\": [\n    {\n      \"b\": 1,\n      \"a\": []\n    },\n    {}\n  ]\n}\n",
                ),
            ),
            (
                "by four blanks",
                text(
                    "{\n    \"note\": \"MARK: Đơn <a&b>/7\",\n    \"id\": \"9\",\n    \"amount\": 5000.00,\n    \"data\": [\n        {\n            \"b\": 1,\n            \"a\": []\n        },\n        {}\n    ]\n}",
                ),
            ),
            (
                "JSON_PRETTY_PRINT",
                text(
                    "{\n    \"note\": \"MARK: \\u0110\\u01a1n <a&b>\\/7\",\n    \"id\": \"9\",\n    \"amount\": 5000.00,\n    \"data\": [\n        {\n            \"b\": 1,\n            \"a\": []\n        },\n        {}\n    ]\n}",
                ),
            ),
            (
                "indent=2",
                text(
                    "{\n  \"note\": \"MARK: \\u0110\\u01a1n <a&b>/7\",\n  \"id\": \"9\",\n  \"amount\": 5000.00,\n  \"data\": [\n    {\n      \"b\": 1,\n      \"a\": []\n    },\n    {}\n  ]\n}",
                ),
            ),
            (
                "indent=4",
                text(
                    "{\n    \"note\": \"MARK: \\u0110\\u01a1n <a&b>/7\",\n    \"id\": \"9\",\n    \"amount\": 5000.00,\n    \"data\": [\n        {\n            \"b\": 1,\n            \"a\": []\n        },\n        {}\n    ]\n}",
                ),
            ),
            (
                "sorted, without blanks",
                text(
                    r#"{"amount":5000.00,"data":[{"a":[],"b":1},{}],"id":"9","note":"MARK: Đơn <a&b>/7"}"#,
                ),
            ),
            (
                "sorted, as PHP",
                text(
                    r#"{"amount":5000.00,"data":[{"a":[],"b":1},{}],"id":"9","note":"MARK: \u0110\u01a1n <a&b>\/7"}"#,
                ),
            ),
            (
                "sort_keys=True",
                text(
                    r#"{"amount": 5000.00, "data": [{"a": [], "b": 1}, {}], "id": "9", "note": "MARK: \u0110\u01a1n <a&b>/7"}"#,
                ),
            ),
            (
                "sorted, as Python",
                text(
                    r#"{"amount":5000.00,"data":[{"a":[],"b":1},{}],"id":"9","note":"MARK: \u0110\u01a1n <a&b>/7"}"#,
                ),
            ),
        ]
    }

    #[test]
    fn the_right_signature_of_the_same_json_is_refused_and_recognised() {
        let spellings = spellings();
        // What a rewriter may make of it: nothing of the members' order is lost.
        let arrivals: Vec<_> = spellings
            .iter()
            .filter(|(name, _)| {
                ["without blanks", "PHP", "json.dumps", "by four blanks"].contains(name)
            })
            .collect();
        assert_eq!(arrivals.len(), 4);
        for scheme in SCHEMES.into_iter().filter(|scheme| scheme.signs_bytes()) {
            for (name, signed) in &spellings {
                let sent = scheme.saying(signed);
                for (_, arrived) in &arrivals {
                    let mut other = sent.clone();
                    other.body = arrived.clone().into_bytes();
                    let label = format!("{}: {name} came as {arrived}", scheme.provider);
                    let judged = judge(&scheme.webhook(), &other, AT);
                    if signed == arrived {
                        assert_eq!(judged, Ok(()), "{label}");
                        continue;
                    }
                    let (first, code, words) = judged.expect_err(&label);
                    assert_eq!((first, code), (WRONG, "reserialized_body"), "{label}");
                    let only_the_end = signed.trim_end() == arrived.trim_end();
                    // The first that fits is told, and some texts are the same in several.
                    let compact = ["without blanks", "JSON.stringify"];
                    let is_compact = signed.contains(r#""amount":5"#);
                    let fits = words.contains(name)
                        || is_compact && compact.iter().any(|it| words.contains(it));
                    assert!(only_the_end || fits, "{label}: {words}");
                    assert!(words.contains("pass on the bytes"), "{words}");
                    // Compressed on the way as well.
                    other.decoded = Some(std::mem::replace(&mut other.body, b"gzip".to_vec()));
                    assert_eq!(told(scheme, &other), "reserialized_body", "{label}");
                }
                let mut altered = sent.clone();
                altered.body = arrivals[0].1.replacen("5000", "5001", 1).into_bytes();
                assert_eq!(told(scheme, &altered), WRONG, "{}: {name}", scheme.provider);
            }
        }
    }

    #[test]
    fn a_line_break_more_or_less_is_recognised_whatever_the_body_is() {
        for scheme in SCHEMES.into_iter().filter(|scheme| scheme.signs_bytes()) {
            for (signed, arrived, words) in [
                ("a=1&b=2", "a=1&b=2\n", "without the line break"),
                ("a=1&b=2", "a=1&b=2\r\n", "without the line break"),
                ("a=1&b=2\n", "a=1&b=2", "with a line break"),
            ] {
                let mut other = scheme.saying(signed);
                other.body = arrived.into();
                let (_, code, told) = judge(&scheme.webhook(), &other, AT).unwrap_err();
                assert_eq!(code, "reserialized_body", "{}", scheme.provider);
                assert!(told.contains(words), "{told}");
            }
        }
    }

    #[test]
    fn who_signs_what_is_said_is_proven_in_every_spelling() {
        let scheme = SCHEMES[0];
        for (_, signed) in spellings() {
            let sent = scheme.saying(&signed);
            for (_, arrived) in spellings() {
                let mut other = sent.clone();
                other.body = arrived.into_bytes();
                assert_eq!(told(scheme, &other), "proven");
            }
        }
        let payos = SCHEMES[4].request();
        let value: Value = serde_json::from_slice(&payos.body).unwrap();
        let mut other = payos.clone();
        other.body = serde_json::to_vec_pretty(&value).unwrap();
        assert_eq!(told(SCHEMES[4], &other), "proven");
    }

    #[test]
    fn of_a_token_nothing_more_can_be_told() {
        for provider in ids() {
            let webhook = webhook(provider, '0', SECRET);
            if provided(provider).proof(&webhook.settings) != Proof::Token {
                continue;
            }
            let sent = Sample::of(provider, "msg_1", AT).inbound();
            let (header, value) = sent.headers.iter().next().unwrap();
            let hex = "0123456789abcdef".repeat(4);
            let upper = hex.to_uppercase();
            let mut other = sent.clone();
            other.headers.set(header, value.replace(SECRET, &upper));
            let webhook = crate::samples::webhook(provider, '0', &hex);
            let (first, code, _) = judge(&webhook, &other, AT).unwrap_err();
            assert_eq!((first, code), (WRONG, WRONG), "{provider}");
            other.headers.remove(header);
            assert_eq!(reason(&webhook, &other, AT), "missing_header", "{provider}");
        }
    }

    #[test]
    fn of_a_body_that_is_too_long_nothing_is_tried() {
        let scheme = SCHEMES[7];
        let long = |bytes: usize| {
            let note = "x".repeat(bytes.saturating_sub(r#"{"note":""}"#.len()));
            let mut sent = scheme.saying(&format!(r#"{{"note":"{note}"}}"#));
            sent.body = format!(r#"{{"note": "{note}"}}"#).into_bytes();
            told(scheme, &sent)
        };
        assert_eq!(long(200 << 10), "reserialized_body");
        assert_eq!(long(256 << 10), WRONG);
    }
}
