//! The rules of destinations as tables: what is refused and why, what is taken
//! and how it is sent.

use super::*;

fn public() -> Station {
    Station {
        own_hosts: vec!["hooks.example.com".into(), "tram.workers.dev:8443".into()],
        allow_private: false,
    }
}

fn local() -> Station {
    Station {
        own_hosts: vec!["localhost:8787".into(), "hooks.example.com".into()],
        allow_private: true,
    }
}

#[test]
fn refused_and_why() {
    use Forbidden::*;
    let long = format!("https://shop.example/{}", "a".repeat(2_028));
    let long_label = format!("https://{}.example/", "a".repeat(64));
    let long_when_sent = format!("https://shop.example/{}", "ế".repeat(226));
    let long_name = format!("https://{}example/", "abcdefg.".repeat(32));
    let table = [
        // Form.
        ("", NotAUrl),
        ("shop.example/hook", NotAUrl),
        ("//shop.example/hook", NotAUrl),
        ("https:shop.example", NotAUrl),
        ("https:/shop.example", NotAUrl),
        ("https:///shop.example", NotAUrl),
        ("https://", NotAUrl),
        ("https://?q", NotAUrl),
        ("https://:443/", NotAHost),
        (r"https:\\shop.example\hook", NotAUrl),
        (r"https://shop.example\@127.0.0.1/", NotAUrl),
        (r"https://127.0.0.1\@shop.example/", NotAUrl),
        ("https://shop.example:99999/", NotAUrl),
        ("https://shop.example:0/", PortZero),
        ("https://shop.example:00/", NotAUrl),
        ("https://shop.example:0443/", NotAUrl),
        ("https://shop.example:+443/", NotAUrl),
        ("https://shop.example:-443/", NotAUrl),
        ("https://shop.example:65536/", NotAUrl),
        ("https://shop.example:/", NotAUrl),
        ("https://shop.example:443:80/", NotAUrl),
        ("https://localhost:80:443/", NotAUrl),
        ("https://shop.example:port/", NotAUrl),
        (&long, TooLong),
        // Each of these letters is nine bytes when it is sent.
        (&long_when_sent, TooLong),
        ("https://shop.example/hook#top", Fragment),
        ("https://shop.example/#", Fragment),
        // Blanks and control characters, which `fetch` drops.
        (" https://shop.example/", Blank),
        ("https://shop.example/ ", Blank),
        ("https://shop.example/a b", Blank),
        ("https://local\thost/", Blank),
        ("https://127.0.\n0.1/", Blank),
        ("ht\rtps://shop.example/", Blank),
        ("https://shop.example/\u{0}", Blank),
        ("https://shop.example/\u{85}", Blank),
        ("https://shop.example/\u{3000}", Blank),
        // Scheme.
        ("http://shop.example/hook", NotHttps),
        ("HTTP://shop.example/hook", NotHttps),
        ("ftp://shop.example/", NotHttps),
        ("file:///etc/passwd", NotHttps),
        ("javascript:alert(1)", NotHttps),
        ("data:text/plain,x", NotHttps),
        ("wss://shop.example/", NotHttps),
        ("blob:https://shop.example/1", NotHttps),
        // Credentials.
        ("https://user:password@shop.example/", Credentials),
        ("https://user@shop.example/", Credentials),
        ("https://:password@shop.example/", Credentials),
        ("https://@shop.example/", Credentials),
        ("https://shop.example@127.0.0.1/", Credentials),
        ("https://shop.example%40a@127.0.0.1/", Credentials),
        // Names that mean the machine or the network next to it.
        ("https://localhost/", PrivateName),
        ("https://LOCALHOST/", PrivateName),
        ("https://localhost./", PrivateName),
        ("https://localhost:8443/", PrivateName),
        ("https://%6c%6f%63alhost/", EncodedHost),
        ("https://a.localhost/", PrivateName),
        ("https://a.b.localhost./", PrivateName),
        ("https://localhost.localdomain/", PrivateName),
        ("https://printer.local/", PrivateName),
        ("https://Printer.LOCAL./", PrivateName),
        ("https://local/", PrivateName),
        (
            "https://metadata.google.internal/computeMetadata/v1/",
            PrivateName,
        ),
        ("https://router.home.arpa/", PrivateName),
        ("https://intranet/", SingleLabel),
        ("https://intranet./", SingleLabel),
        ("https://example:8443/", SingleLabel),
        ("https://xn--80ak6aa92e/", SingleLabel),
        // Not names.
        ("https://localhost../", NotAHost),
        ("https://shop..example/", NotAHost),
        ("https://.shop.example/", NotAHost),
        ("https://./", NotAHost),
        ("https://*.example/", NotAHost),
        ("https://shop,example.com/", NotAHost),
        ("https://shop%20a.example/", EncodedHost),
        ("https://shop%00.example/", EncodedHost),
        ("https://127.0.0.1%2f.shop.example/", EncodedHost),
        ("https://xn--/", NotAHost),
        ("https://xn--.example/", NotAHost),
        ("https://xn--localhost-.example/", NotAHost),
        ("https://xn--99999999.example/", NotAHost),
        ("https://XN--Z.example/", NotAHost),
        ("https://shop!.example/", NotAHost),
        ("https://shop|a.example/", NotAHost),
        ("https://<shop>.example/", NotAHost),
        ("https://shop.example]/", NotAHost),
        ("https://xn--a-\u{7f}.example/", Blank),
        (&long_label, NotAHost),
        (&long_name, NotAHost),
        // Outside ASCII: look-alikes of addresses and names never pass.
        ("https://đơnhàng.example/", NotAscii),
        ("https://１２７.０.０.１/", NotAscii),
        ("https://①②⑦.⓪.⓪.①/", NotAscii),
        ("https://127。0。0。1/", NotAscii),
        ("https://ｌｏｃａｌｈｏｓｔ/", NotAscii),
        ("https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/", NotAscii),
        ("https://local\u{ad}host/", NotAscii),
        ("https://local\u{200b}host/", NotAscii),
        ("https://%EF%BC%91%EF%BC%92%EF%BC%97.0.0.1/", EncodedHost),
        ("https://127%E3%80%820.0.1/", EncodedHost),
        ("https://local%C2%ADhost/", EncodedHost),
        ("https://%E2%84%93ocalhost.example/", EncodedHost),
        // IPv4 in all its notations.
        ("https://127.0.0.1/", PrivateAddress),
        ("https://127.0.0.1./", OddAddress),
        ("https://127.1/", OddAddress),
        ("https://127.0.1/", OddAddress),
        ("https://2130706433/", OddAddress),
        ("https://017700000001/", OddAddress),
        ("https://0x7f000001/", OddAddress),
        ("https://0x7f.0.0.1/", OddAddress),
        ("https://0177.0.0.01/", OddAddress),
        ("https://%31%32%37.0.0.1/", EncodedHost),
        ("https://0/", OddAddress),
        ("https://0.0.0.0/", PrivateAddress),
        ("https://10.1.2.3/", PrivateAddress),
        ("https://100.64.0.1/", PrivateAddress),
        ("https://100.127.255.255/", PrivateAddress),
        ("https://169.254.169.254/latest/meta-data/", PrivateAddress),
        ("https://0xa9fea9fe/", OddAddress),
        ("https://172.16.0.1/", PrivateAddress),
        ("https://172.31.255.255/", PrivateAddress),
        ("https://192.0.0.170/", PrivateAddress),
        ("https://192.0.2.1/", PrivateAddress),
        ("https://192.88.99.1/", PrivateAddress),
        ("https://192.168.1.1:8443/", PrivateAddress),
        ("https://3232235777/", OddAddress),
        ("https://198.18.0.1/", PrivateAddress),
        ("https://198.19.255.255/", PrivateAddress),
        ("https://198.51.100.7/", PrivateAddress),
        ("https://203.0.113.7/", PrivateAddress),
        ("https://224.0.0.1/", PrivateAddress),
        ("https://240.0.0.1/", PrivateAddress),
        ("https://255.255.255.255/", PrivateAddress),
        ("https://256.0.0.1/", OddAddress),
        ("https://4294967296/", OddAddress),
        ("https://1.2.3.4.5/", OddAddress),
        ("https://shop.example.1/", OddAddress),
        ("https://shop.example.1./", OddAddress),
        ("https://shop.example.0x1/", OddAddress),
        ("https://8.8.8.8./", OddAddress),
        ("https://0x08080808/", OddAddress),
        ("https://0X8.8.8.8/", OddAddress),
        ("https://134744072/", OddAddress),
        ("https://8.8.8.08/", OddAddress),
        ("https://8.8.8.0x/", OddAddress),
        ("https://8.8.8/", OddAddress),
        // IPv6.
        ("https://[::]/", PrivateAddress),
        ("https://[::1]/", PrivateAddress),
        ("https://[0:0:0:0:0:0:0:1]:8443/", PrivateAddress),
        ("https://[::ffff:127.0.0.1]/", PrivateAddress),
        ("https://[::ffff:7f00:1]/", PrivateAddress),
        ("https://[::ffff:8.8.8.8]/", PrivateAddress),
        ("https://[::127.0.0.1]/", PrivateAddress),
        ("https://[64:ff9b::10.0.0.1]/", PrivateAddress),
        ("https://[64:ff9b:1::1]/", PrivateAddress),
        ("https://[100::1]/", PrivateAddress),
        ("https://[2001::1]/", PrivateAddress),
        ("https://[2001:2::1]/", PrivateAddress),
        ("https://[2001:20::1]/", PrivateAddress),
        ("https://[2001:1ff::1]/", PrivateAddress),
        ("https://[2001:db8::1]/", PrivateAddress),
        ("https://[2002:7f00:1::]/", PrivateAddress),
        ("https://[2002:808:808::1]/", PrivateAddress),
        ("https://[3fff::1]/", PrivateAddress),
        ("https://[5f00::1]/", PrivateAddress),
        ("https://[fc00::1]/", PrivateAddress),
        ("https://[fd12:3456::1]/", PrivateAddress),
        ("https://[fe80::1]/", PrivateAddress),
        ("https://[fe80::1%25eth0]/", EncodedHost),
        ("https://[fec0::1]/", PrivateAddress),
        ("https://[ff02::1]/", PrivateAddress),
        ("https://[::1/", NotAHost),
        ("https://[]/", NotAHost),
        ("https://[::1%eth0]/", EncodedHost),
        ("https://[fe80::1/64]/", NotAHost),
        ("https://[2606:4700::1111]x/", NotAHost),
        ("https://[2606:4700::1111]443/", NotAHost),
        ("https://[2606:4700::1111]:/", NotAUrl),
        ("https://[2606:4700::1111/", NotAHost),
        ("https://[2606:4700::11111]/", NotAHost),
        ("https://[2606::4700::1]/", NotAHost),
        ("https://[1:2:3:4:5:6:7]/", NotAHost),
        ("https://[1:2:3:4:5:6:7:8:9]/", NotAHost),
        ("https://[::ffff:127.1]/", NotAHost),
        ("https://[::ffff:0177.0.0.1]/", NotAHost),
        ("https://[8.8.8.8]/", NotAHost),
        ("https://[v1.x]/", NotAHost),
        ("https://[[::1]]/", NotAHost),
        ("https://x[::1]/", NotAHost),
        ("https://::1/", NotAHost),
        // The station itself, however it is written.
        ("https://hooks.example.com/in/wh_1", OwnHost),
        ("https://HOOKS.Example.COM/", OwnHost),
        ("https://hooks.example.com./", OwnHost),
        ("https://hooks.example.com:8443/", OwnHost),
        ("https://hook%73.example.com/", EncodedHost),
        ("https://tram.workers.dev/", OwnHost),
    ];
    for (url, why) in table {
        assert_eq!(check(url, &public()).err(), Some(why), "{url:?}");
    }
}

#[test]
fn taken_and_how_it_is_sent() {
    let table = [
        ("https://shop.example/hook", "https://shop.example/hook"),
        ("https://shop.example", "https://shop.example/"),
        ("HTTPS://Shop.Example:443/Hook", "https://shop.example/Hook"),
        (
            "https://shop.example:8443/hook?a=1&b=/x@y",
            "https://shop.example:8443/hook?a=1&b=/x@y",
        ),
        ("https://shop.example./hook", "https://shop.example./hook"),
        (
            "https://shop.example/đơn?q=hàng",
            "https://shop.example/%C4%91%C6%A1n?q=h%C3%A0ng",
        ),
        ("https://shop.example/a/../b", "https://shop.example/b"),
        (
            "https://shop.example/../a/./b/%2E%2e/c/.",
            "https://shop.example/a/c/",
        ),
        ("https://shop.example/a//../b/..", "https://shop.example/a/"),
        // A drive's letter stays in `file:` alone.
        ("https://shop.example/a/S:/../b", "https://shop.example/a/b"),
        (
            "https://shop.example/a/.../..b/.%20",
            "https://shop.example/a/.../..b/.%20",
        ),
        (
            "https://shop.example/\"<>`{}^|[]'%zz;:,?\"<>`{}^|[]'%zz\\",
            "https://shop.example/%22%3C%3E%60%7B%7D^|[]'%zz;:,?%22%3C%3E`{}^|[]%27%zz\\",
        ),
        ("https://shop.example?", "https://shop.example/?"),
        (
            "https://shop.example?a=/../b",
            "https://shop.example/?a=/../b",
        ),
        ("https://shop.example:80/", "https://shop.example:80/"),
        ("https://shop.example:65535/", "https://shop.example:65535/"),
        ("https://a--b.-c-.example/", "https://a--b.-c-.example/"),
        ("https://1.2.3.4a/", "https://1.2.3.4a/"),
        ("https://shop.example/@user", "https://shop.example/@user"),
        (
            "https://xn--nhng-coa96m.example/",
            "https://xn--nhng-coa96m.example/",
        ),
        ("https://XN--80AK6AA92E.com/", "https://xn--80ak6aa92e.com/"),
        (
            "https://my_host.shop.example/",
            "https://my_host.shop.example/",
        ),
        ("https://127.0.0.1.nip.io/", "https://127.0.0.1.nip.io/"),
        (
            "https://notlocalhost.example/",
            "https://notlocalhost.example/",
        ),
        ("https://localhost.example/", "https://localhost.example/"),
        ("https://mylocal.dev/", "https://mylocal.dev/"),
        (
            "https://not-hooks.example.com/",
            "https://not-hooks.example.com/",
        ),
        (
            "https://example.com/hooks.example.com",
            "https://example.com/hooks.example.com",
        ),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://172.32.0.1/", "https://172.32.0.1/"),
        ("https://100.128.0.1/", "https://100.128.0.1/"),
        (
            "https://[2606:4700:4700::1111]:8443/",
            "https://[2606:4700:4700::1111]:8443/",
        ),
        (
            "https://[2001:4860:4860::8888]/",
            "https://[2001:4860:4860::8888]/",
        ),
        (
            "https://[2606:4700:0:0:0:0:0:ABCD]:443",
            "https://[2606:4700::abcd]/",
        ),
        (
            "https://[2606:0:0:1:0:0:8.8.8.8]/",
            "https://[2606::1:0:0:808:808]/",
        ),
    ];
    for (url, sent) in table {
        let checked = check(url, &public());
        assert_eq!(checked.as_ref().map(CheckedUrl::as_str), Ok(sent), "{url}");
        // What is sent is judged as what was saved.
        assert_eq!(check(sent, &public()), checked, "{url}");
    }
}

#[test]
fn local_development_takes_neighbours_but_not_itself() {
    for url in [
        "http://localhost:3000/hook",
        "http://127.0.0.1:3000/",
        "http://[::1]:3000/",
        "https://localhost/",
        "http://origin/",
        "http://hooks.example.com:3000/",
        "http://192.168.1.5/",
    ] {
        assert_eq!(check(url, &local()).err(), None, "{url}");
    }
    for (url, sent) in [
        ("HTTP://Origin:80", "http://origin/"),
        ("http://origin:443/", "http://origin:443/"),
        ("https://origin:443/", "https://origin/"),
        ("http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/"),
        ("http://[::127.0.0.1]/", "http://[::7f00:1]/"),
        ("http://[0:0:0:0:0:0:0:0]/", "http://[::]/"),
    ] {
        let checked = check(url, &local());
        assert_eq!(checked.as_ref().map(CheckedUrl::as_str), Ok(sent), "{url}");
    }
    for (url, why) in [
        ("http://127.1/", Forbidden::OddAddress),
        ("http://localhost:8787/in/wh_1", Forbidden::OwnHost),
        ("http://LOCALHOST.:8787/", Forbidden::OwnHost),
        ("https://localhost:8787/", Forbidden::OwnHost),
        ("https://hooks.example.com/", Forbidden::OwnHost),
        ("http://hooks.example.com/", Forbidden::OwnHost),
        ("ftp://localhost/", Forbidden::NotHttp),
        (
            "http://user:password@localhost:3000/",
            Forbidden::Credentials,
        ),
        ("http:///hook", Forbidden::NotAUrl),
        ("http://１２７.0.0.1/", Forbidden::NotAscii),
    ] {
        assert_eq!(check(url, &local()).err(), Some(why), "{url}");
    }
}

#[test]
fn the_host_is_what_would_be_asked_for() {
    let host = |url| check(url, &public()).unwrap().host().to_owned();
    assert_eq!(host("https://Shop.Example:8443/hook"), "shop.example");
    assert_eq!(host("https://[2606:4700::1]/"), "[2606:4700::1]");
}

#[test]
fn spellings_of_one_url_are_the_same() {
    assert!(same("https://shop.example", "https://SHOP.example:443/"));
    assert!(!same("https://shop.example/a", "https://shop.example/A"));
    assert!(same("http://origin/%2e/a?ơ", "http://ORIGIN:80/a?%C6%A1"));
    assert!(!same("https://origin/", "http://origin/"));
    assert!(same("not a url", "not a url"));
    assert!(!same("not a url", "nor this"));
}
