//! What a webhook keeps of what its provider sends. What is filtered out is
//! answered with success, counted, and not stored.

use crate::{
    event::Direction,
    providers::{self, Facts},
    webhook::{DirectionFilter, Webhook},
};

/// Whether the webhook wants this event. What the provider does not say passes,
/// and a test call always does: the operator is waiting for it.
#[must_use]
pub fn passes(webhook: &Webhook, facts: &Facts) -> bool {
    facts.test
        || direction_passes(webhook.direction, facts.summary.direction)
            && account_passes(&webhook.accounts, facts.summary.account.as_deref())
            && name_passes(webhook, facts.name.as_deref())
}

const fn direction_passes(wanted: DirectionFilter, direction: Option<Direction>) -> bool {
    !matches!(
        (wanted, direction),
        (DirectionFilter::In, Some(Direction::Out)) | (DirectionFilter::Out, Some(Direction::In))
    )
}

fn account_passes(accounts: &[String], account: Option<&str>) -> bool {
    match account {
        Some(account) if !accounts.is_empty() => accounts.iter().any(|known| known == account),
        _ => true,
    }
}

/// An empty list keeps nothing, not even what has no name: the operator said none.
fn name_passes(webhook: &Webhook, name: Option<&str>) -> bool {
    let allowed = &webhook.allow_events;
    let is_allowed = |name: &str| allowed.iter().any(|known| known == "*" || known == name);
    match name {
        Some(name) => is_allowed(name) || other_names(webhook, name).any(is_allowed),
        None => !allowed.is_empty(),
    }
}

/// The other names under which the provider knows this event.
fn other_names(webhook: &Webhook, name: &str) -> impl Iterator<Item = &'static str> {
    providers::find(&webhook.provider)
        .into_iter()
        .flat_map(|provider| provider.about().same_events)
        .filter(move |names| names.contains(&name))
        .flatten()
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::{Identity, examples};
    use serde_json::json;

    struct Event {
        direction: Option<Direction>,
        account: Option<&'static str>,
        name: Option<&'static str>,
        test: bool,
    }

    const SILENT: Event = Event {
        direction: None,
        account: None,
        name: None,
        test: false,
    };

    fn check(wanted: DirectionFilter, accounts: &[&str], allowed: &[&str], event: &Event) -> bool {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let mut webhook = examples::webhook("casso", "s", json!({}));
        webhook.direction = wanted;
        webhook.accounts = owned(accounts);
        webhook.allow_events = owned(allowed);
        let mut facts = Facts::named_by(Identity::Bytes);
        facts.summary.direction = event.direction;
        facts.summary.account = event.account.map(Into::into);
        facts.name = event.name.map(Into::into);
        facts.test = event.test;
        passes(&webhook, &facts)
    }

    #[test]
    fn direction_accounts_and_names_are_kept_or_dropped() {
        use DirectionFilter::{All, In, Out};
        let money_in = Event {
            direction: Some(Direction::In),
            ..SILENT
        };
        let money_out = Event {
            direction: Some(Direction::Out),
            ..SILENT
        };
        let account = Event {
            account: Some("0123"),
            ..SILENT
        };
        let push = Event {
            name: Some("push"),
            ..SILENT
        };
        for (wanted, accounts, allowed, event, kept) in [
            (All, &[][..], &["*"][..], &money_in, true),
            (In, &[], &["*"], &money_in, true),
            (Out, &[], &["*"], &money_in, false),
            (In, &[], &["*"], &money_out, false),
            (Out, &[], &["*"], &money_out, true),
            (In, &[], &["*"], &SILENT, true),
            (All, &["0123"], &["*"], &account, true),
            (All, &["9", "0123"], &["*"], &account, true),
            (All, &["123"], &["*"], &account, false),
            (All, &["123"], &["*"], &SILENT, true),
            (All, &[], &["push"], &push, true),
            (All, &[], &["issues", "*"], &push, true),
            (All, &[], &["issues"], &push, false),
            (All, &[], &["Push"], &push, false),
            (All, &[], &["issues"], &SILENT, true),
            (All, &[], &[], &push, false),
            (All, &[], &[], &SILENT, false),
        ] {
            assert_eq!(
                check(wanted, accounts, allowed, event),
                kept,
                "{wanted:?} {accounts:?} {allowed:?} {:?} {:?} {:?}",
                event.direction,
                event.account,
                event.name
            );
        }
    }

    #[test]
    fn either_spelling_of_an_event_lets_both_through() {
        let spellings = ["BANK_ACCOUNT_INACTIVATED", "BANK_ACCOUNT_INACTIVED"];
        for provider in ["sepay-bankhub", "casso"] {
            for allowed in spellings {
                for name in spellings {
                    let mut webhook = examples::webhook(provider, "s", json!({}));
                    webhook.allow_events = vec![allowed.into()];
                    let mut facts = Facts::named_by(Identity::Bytes);
                    facts.name = Some(name.into());
                    let expected = allowed == name || provider == "sepay-bankhub";
                    assert_eq!(
                        passes(&webhook, &facts),
                        expected,
                        "{provider} {allowed} {name}"
                    );
                    facts.name = Some("BANK_ACCOUNT_LINKED".into());
                    assert!(!passes(&webhook, &facts));
                }
            }
        }
    }

    #[test]
    fn test_calls_always_pass() {
        let test = Event {
            direction: Some(Direction::Out),
            account: Some("1"),
            name: Some("ping"),
            test: true,
        };
        assert!(check(DirectionFilter::In, &["2"], &[], &test));
    }
}
