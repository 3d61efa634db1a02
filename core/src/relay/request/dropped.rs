//! Fields of the original request that stay behind, because they are about its way to
//! the station and untrue of the way from there: an origin that believed them would
//! take the provider's address, or whatever a sender wrote there, for its caller's.
//!
//! The names are those that proxies and hosts document, and that the usual libraries
//! look a client's address up in (`request-ip`, `remix-utils`, `django-ipware`). Not
//! among them: identifiers of a request or a trace, and what says something of the
//! client's country or device.

/// What was agreed with the station and holds for that connection alone.
const OF_THE_EXCHANGE: [&str; 3] = ["accept-encoding", "expect", "cookie"];

/// Which addresses and proxies the request came from and through, and what was asked of
/// the first of them.
const OF_THE_ROUTE: [&str; 34] = [
    // RFC 9110, 7239, 8586.
    "via",
    "forwarded",
    "cdn-loop",
    // Of no one in particular.
    "client-ip",
    "forwarded-for",
    "forwarded-for-ip",
    "proxy-client-ip",
    "remote-addr",
    "true-client-ip",
    "wl-proxy-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-forwarded",
    "x-host",
    "x-original-forwarded-for",
    "x-original-host",
    "x-original-url",
    "x-originating-ip",
    "x-proxyuser-ip",
    "x-real-ip",
    "x-remote-addr",
    "x-remote-ip",
    "x-rewrite-url",
    // Of networks and hosts: Akamai and Alibaba, Azure, CloudFront, DigitalOcean, Envoy,
    // Fastly, Fly, App Engine, Netlify, Sucuri.
    "ali-cdn-real-ip",
    "cdn-src-ip",
    "cloudfront-viewer-address",
    "do-connecting-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "x-appengine-remote-addr",
    "x-appengine-user-ip",
    "x-envoy-external-address",
    "x-nf-client-connection-ip",
    "x-sucuri-clientip",
];

/// Beginnings of such names. Dropping `x-tram-` keeps a sender from speaking in the
/// station's name.
const PREFIXES: [&str; 7] = [
    "cf-",
    "fly-forwarded-",
    "x-azure-",
    "x-forwarded-",
    "x-tram-",
    "x-vercel-forwarded-",
    "x-vercel-proxied-",
];

/// Whether the field of that lower-case name stays behind.
pub(super) fn is_dropped(name: &str) -> bool {
    OF_THE_EXCHANGE.contains(&name)
        || OF_THE_ROUTE.contains(&name)
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers;

    #[test]
    fn what_speaks_of_the_way_to_the_station_stays_behind_and_nothing_else() {
        for name in [
            "accept-encoding",
            "cookie",
            "expect",
            "forwarded",
            "via",
            "cdn-loop",
            "cf-connecting-ip",
            "cf-connecting-ipv6",
            "cf-ipcountry",
            "cf-ray",
            "cf-visitor",
            "cf-worker",
            "client-ip",
            "cloudfront-viewer-address",
            "fastly-client-ip",
            "fly-client-ip",
            "fly-forwarded-port",
            "forwarded-for",
            "true-client-ip",
            "x-appengine-user-ip",
            "x-azure-clientip",
            "x-azure-socketip",
            "x-client-ip",
            "x-cluster-client-ip",
            "x-envoy-external-address",
            "x-forwarded",
            "x-forwarded-client-cert",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-original-forwarded-for",
            "x-original-url",
            "x-real-ip",
            "x-rewrite-url",
            "x-tram-hops",
            "x-tram-via",
            "x-vercel-forwarded-for",
        ] {
            assert!(is_dropped(name), "{name} is relayed");
        }
        for name in [
            "accept",
            "authorization",
            "content-type",
            "forward-secrecy",
            "origin",
            "referer",
            "traceparent",
            "user-agent",
            "viadeo-id",
            "x-amzn-trace-id",
            "x-appengine-country",
            "x-client-id",
            "x-correlation-id",
            "x-envoy-attempt-count",
            "x-github-delivery",
            "x-request-id",
            "x-shopify-topic",
        ] {
            assert!(!is_dropped(name), "{name} stays behind");
        }
    }

    #[test]
    fn what_proves_a_sender_is_not_among_it() {
        for name in providers::all_credential_headers() {
            assert!(!is_dropped(name), "{name}");
        }
    }
}
