//! Who may manage: the bearer tokens of the `ADMIN_TOKEN` secret.
//!
//! Closed, not open: without the secret nobody may. The length of a token is the
//! operator's business; `npm start` and the documentation make long random ones.

use crate::problem::Problem;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// Whether the `authorization` field of a request names one of the comma-separated
/// `admin_tokens` (several while they are being rotated).
///
/// # Errors
/// 503 `management_disabled` when there is no token to compare with, 401
/// `unauthorized` when it is missing or wrong.
pub fn authorise(
    admin_tokens: Option<&str>,
    authorization_header: Option<&str>,
) -> Result<(), Problem> {
    let tokens = || {
        admin_tokens
            .unwrap_or_default()
            .split(',')
            .map(str::trim)
            .filter(|token| !token.is_empty())
    };
    if tokens().next().is_none() {
        return Err(Problem::new(
            503,
            "management_disabled",
            "Management is switched off",
            "No ADMIN_TOKEN is set. Set it with `npx wrangler secret put ADMIN_TOKEN`, or in .dev.vars for local development.",
        ));
    }
    let presented = authorization_header
        .and_then(bearer)
        .ok_or_else(unauthorized)?;
    // Digests are of one length, and all are compared: neither the length of a
    // token nor which of them matched shows in the time it takes.
    let presented = Sha256::digest(presented);
    let matched = tokens().fold(Choice::from(0), |matched, token| {
        matched | Sha256::digest(token).ct_eq(&presented)
    });
    if bool::from(matched) {
        Ok(())
    } else {
        Err(unauthorized())
    }
}

/// The token of `Bearer <token>` (RFC 6750, section 2.1); the scheme in any case
/// (RFC 9110, section 11.1).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn unauthorized() -> Problem {
    Problem::new(
        401,
        "unauthorized",
        "The token is missing or wrong",
        "Send `Authorization: Bearer <ADMIN_TOKEN>`.",
    )
    .with_header("www-authenticate", "Bearer")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_manage() {
        let one = Some("a-long-random-token");
        let two = Some("the-new-token , the-old-token");
        let table: &[(Option<&str>, Option<&str>, u16)] = &[
            (one, Some("Bearer a-long-random-token"), 200),
            (one, Some("bearer a-long-random-token"), 200),
            (one, Some("BEARER   a-long-random-token "), 200),
            (two, Some("Bearer the-new-token"), 200),
            (two, Some("Bearer the-old-token"), 200),
            (Some("short"), Some("Bearer short"), 200),
            // Missing or wrong.
            (one, None, 401),
            (one, Some(""), 401),
            (one, Some("Bearer"), 401),
            (one, Some("Bearer "), 401),
            (one, Some("Bearer  "), 401),
            (one, Some("a-long-random-token"), 401),
            (one, Some("Basic a-long-random-token"), 401),
            (one, Some("Bearera-long-random-token"), 401),
            (one, Some("Bearer a-long-random-toke"), 401),
            (one, Some("Bearer a-long-random-token2"), 401),
            (one, Some("Bearer A-LONG-RANDOM-TOKEN"), 401),
            (one, Some("Bearer a-long-random-token, Bearer x"), 401),
            (two, Some("Bearer the-new-token , the-old-token"), 401),
            (two, Some("Bearer the-new-token,the-old-token"), 401),
            (Some("a,,b"), Some("Bearer "), 401),
            (Some("a,"), Some("Bearer ,"), 401),
            // Nothing to compare with: closed.
            (None, None, 503),
            (None, Some("Bearer x"), 503),
            (Some(""), Some("Bearer "), 503),
            (Some(""), Some("Bearer"), 503),
            (Some("  "), Some("Bearer  "), 503),
            (Some(" , ,"), Some("Bearer ,"), 503),
        ];
        for (tokens, header, expected) in table {
            let status =
                authorise(*tokens, *header).map_or_else(|problem| problem.status, |()| 200);
            assert_eq!(status, *expected, "{tokens:?} {header:?}");
        }
    }

    #[test]
    fn a_refusal_says_how_to_ask_and_nothing_else() {
        let problem = authorise(Some("a-long-random-token"), Some("Bearer wrong")).unwrap_err();
        assert_eq!(problem.code, "unauthorized");
        assert_eq!(problem.headers, [("www-authenticate", "Bearer".to_owned())]);
        assert!(!problem.to_json().contains("a-long-random-token"));
        let problem = authorise(None, None).unwrap_err();
        assert_eq!(problem.code, "management_disabled");
    }
}
