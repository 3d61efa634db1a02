//! The webhook of a life, as its plan has it.

use crate::{
    model::{destination_id, has},
    plan::{DESTINATIONS, Setup},
};
use tram_core::{
    testing::samples,
    webhook::{Destination, Retry, Webhook},
};

/// Which destinations a webhook has, a bit each.
pub(crate) fn mask_of(webhook: &Webhook) -> u8 {
    (0..DESTINATIONS)
        .filter(|number| {
            let id = destination_id(*number);
            webhook.destinations.iter().any(|known| known.id == id)
        })
        .fold(0, |mask, number| mask | 1 << number)
}

pub(crate) fn timeout_of(webhook: &Webhook) -> u32 {
    webhook
        .destinations
        .first()
        .map_or(5, |destination| destination.timeout_seconds)
}

pub(crate) fn destinations(mask: u8, setup: &Setup, timeout: u32) -> Vec<Destination> {
    (0..DESTINATIONS)
        .filter(|number| has(mask, *number))
        .map(|number| Destination {
            timeout_seconds: timeout,
            strict: setup.strict,
            ..samples::destination(number)
        })
        .collect()
}

pub(crate) fn webhook(setup: &Setup) -> Webhook {
    Webhook {
        destinations: destinations(setup.destinations, setup, setup.timeout),
        retry: schedule(setup.schedule),
        give_up_after_hours: setup.give_up_hours,
        ..samples::webhook(1)
    }
}

pub(crate) fn schedule(number: u8) -> Retry {
    match number {
        0 | 1 => Retry::Fibonacci,
        2 => Retry::Standard,
        3 => Retry::Fixed {
            interval_seconds: 300.0,
            max_attempts: 3,
        },
        4 => Retry::Fixed {
            interval_seconds: 20.0,
            max_attempts: 40,
        },
        5 => Retry::Exponential {
            initial_seconds: 0.5,
            factor: 2.0,
            max_seconds: 600.0,
            max_attempts: 12,
        },
        6 => Retry::Custom {
            delays_seconds: vec![0.5, 2.0, 60.0, 0.0, 1_000.0],
        },
        7 => Retry::Custom {
            delays_seconds: vec![0.0; 12],
        },
        _ => Retry::Custom {
            delays_seconds: Vec::new(),
        },
    }
}
