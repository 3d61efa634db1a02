//! The rules of destinations on URLs that nobody thought of, with the parser of the
//! WHATWG standard as the judge: what is taken means the same to both.

use super::*;
use proptest::prelude::*;
use url::Url;

/// Hosts as an attacker would write them, and noise.
fn hostile() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[a-z0-9.%@:\\[\\]\\\\/#?\t-]{0,12}",
        "\\PC{0,6}",
        Just("localhost".to_owned()),
        Just("127.0.0.1".to_owned()),
        Just("[::ffff:10.0.0.1]".to_owned()),
        Just("%E2%91%A0".to_owned()),
        Just("xn--".to_owned()),
        any::<u32>().prop_map(|number| number.to_string()),
        any::<u32>().prop_map(|number| format!("0x{number:x}")),
        any::<u128>().prop_map(|bits| format!("[{}]", Ipv6Addr::from_bits(bits))),
    ];
    let scheme = prop_oneof![Just("https://"), Just("http://"), Just("https:"), Just("")];
    (scheme, prop::collection::vec(part, 1..4))
        .prop_map(|(scheme, parts)| scheme.to_owned() + &parts.concat())
}

/// URLs that are mostly sound, in all their spellings.
fn sound() -> impl Strategy<Value = String> {
    let host = prop_oneof![
        "[A-Za-z0-9_-]{1,8}(\\.[A-Za-z0-9_-]{1,8}){0,3}\\.?",
        "(xn--)?[a-z0-9-]{1,8}\\.(com|local|internal|localhost|home\\.arpa)\\.?",
        "(0x?)?[0-9]{1,3}(\\.(0x?)?[0-9a]{1,3}){0,4}\\.?",
        any::<u32>().prop_map(|bits| Ipv4Addr::from_bits(bits).to_string()),
        any::<u128>().prop_map(|bits| format!("[{}]", Ipv6Addr::from_bits(bits))),
        "\\[[0-9a-fA-F]{0,4}(::?[0-9a-fA-F]{1,4}){0,8}(::?)?([0-9]{1,3}(\\.[0-9]{1,3}){3})?\\]",
        any::<u32>().prop_map(|bits| format!("[::ffff:{}]", Ipv4Addr::from_bits(bits))),
    ];
    let path = prop_oneof![
        "(/(\\.|%2e|%2E|[a-z%/đ])*){0,4}",
        "(/[!-.0-\\[\\]-~à-ỹ\u{200b}\u{1f600}]{0,8}){0,3}",
    ];
    (
        "(https|http|HTTPS|hTTp)://",
        host,
        "(:(443|80|8443|[0-9]{0,5}))?",
        path,
        "(\\?[!-~à-ỹ]{0,12})?",
    )
        .prop_map(|(scheme, host, port, path, query)| [scheme, host, port, path, query].concat())
}

/// A host as the standard's own parser sees it.
fn standard_host(url: &Url) -> Host {
    match url.host().unwrap() {
        url::Host::Domain(name) => Host::Name(name.to_owned()),
        url::Host::Ipv4(address) => Host::V4(address),
        url::Host::Ipv6(address) => Host::V6(address),
    }
}

/// Labels in `xn--` that are well-formed, but made of letters that no name may have,
/// are known only to those who have the tables of Unicode. `fetch` has them.
fn has_punycode(host: &str) -> bool {
    host.to_ascii_lowercase().contains("xn--")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_taken_is_to_the_standard_the_same_url(text in prop_oneof![hostile(), sound()]) {
        if let Ok(url) = check(&text, &Station { own_hosts: vec![], allow_private: true }) {
            let standard = match Url::parse(&text) {
                Ok(standard) => standard,
                Err(_) if has_punycode(url.host()) => return Ok(()),
                Err(why) => return Err(TestCaseError::fail(why.to_string())),
            };
            prop_assert_eq!(url.as_str(), standard.as_str());
            prop_assert_eq!(Some(url.host()), standard.host_str());
            prop_assert_eq!(&url.0.host, &standard_host(&standard));
            prop_assert_eq!(Some(url.0.port), standard.port_or_known_default());
            prop_assert_eq!(url.0.https, standard.scheme() == "https");
        }
    }

    #[test]
    fn what_is_refused_for_its_host_is_so_to_the_standard_too(text in sound()) {
        let judged = check(&text, &Station::default());
        if let Ok(standard) = Url::parse(&text) {
            let public = check_public(&standard_host(&standard));
            match judged {
                Ok(_) => prop_assert_eq!(public, Ok(())),
                Err(
                    why @ (Forbidden::PrivateName
                    | Forbidden::PrivateAddress
                    | Forbidden::SingleLabel),
                ) => prop_assert_eq!(public, Err(why)),
                Err(_) => {}
            }
        }
    }

    #[test]
    fn what_the_standard_writes_is_taken_as_it_is(text in sound()) {
        if let Ok(standard) = Url::parse(&text)
            && standard.fragment().is_none()
            && standard.port() != Some(0)
            && standard.as_str().len() <= MAX_BYTES
            // A name that ends in `0x` and no number is one to the standard.
            && !standard.host_str().unwrap().contains("0x")
        {
            let local = Station { own_hosts: vec![], allow_private: true };
            let checked = check(standard.as_str(), &local);
            prop_assert_eq!(checked.as_ref().map(CheckedUrl::as_str), Ok(standard.as_str()));
            prop_assert!(same(&text, standard.as_str()) || check(&text, &local).is_err());
        }
    }

    #[test]
    fn whatever_is_taken_is_https_to_a_dotted_name_or_a_global_address(text in hostile()) {
        if let Ok(url) = check(&text, &Station::default()) {
            prop_assert!(url.as_str().starts_with("https://"));
            let host = url.host().trim_end_matches('.');
            if let Ok(address) = host.parse::<Ipv4Addr>() {
                prop_assert!(!address.is_private() && !address.is_loopback() && !address.is_link_local());
            } else if let Some(address) = host.strip_prefix('[') {
                let address: Ipv6Addr = address.trim_end_matches(']').parse().unwrap();
                prop_assert_eq!(address.segments()[0] >> 13, 1);
            } else {
                prop_assert!(host.contains('.') && host.is_ascii());
                for private in [".localhost", ".local", ".internal"] {
                    prop_assert!(!host.ends_with(private));
                }
            }
            prop_assert_eq!(check(url.as_str(), &Station::default()), Ok(url));
        }
    }
}
