//! `destinations` and their short form `webhook_url`: where events go.

use super::{
    headers,
    reader::{Mistakes, Node, Object},
};
use crate::{
    destination_url::{self, Station},
    ids::DestinationId,
    secret::{Entropy, EntropyExhausted},
    webhook::{AUTO, Destination, Resign, Strict},
};
use std::collections::BTreeMap;

const MAX_DESTINATIONS: usize = 10;
const MAX_TIMEOUT_SECONDS: u32 = 30;
const MAX_RATE: u32 = 10_000;

const RESIGN: [(&str, Resign); 2] = [("stale", Resign::Stale), ("never", Resign::Never)];

const KNOWN: [&str; 9] = [
    "id",
    "url",
    "headers",
    "timeout_seconds",
    "strict",
    "sign",
    "resign",
    "forward_credentials",
    "rate_per_second",
];

/// Reads what was sent of the destinations. `current` are those of the webhook so
/// far: one whose URL stays, or whose id is named, keeps its id and whatever of it
/// is not sent. So does the only one when it moves: were it another, what is
/// pending would be cancelled with the old one.
pub(super) fn read(
    sent: &Object<'_>,
    current: &[Destination],
    station: &Station,
    entropy: &mut Entropy,
    mistakes: &mut Mistakes,
) -> Result<Vec<Destination>, EntropyExhausted> {
    let for_all = ForAll {
        timeout_seconds: sent
            .get("timeout_seconds")
            .and_then(|node| node.whole(1, MAX_TIMEOUT_SECONDS, mistakes)),
        strict: sent.get("strict").and_then(|node| strict(node, mistakes)),
    };
    // `null` is how the short form reads when there are several.
    let short = sent.get("webhook_url").filter(|node| !node.is_null());
    match (short, sent.get("destinations")) {
        (Some(short), Some(list)) => {
            short.wrong("send `webhook_url` or `destinations`, not both", mistakes);
            all(list, current, &for_all, station, entropy, mistakes)
        }
        (Some(short), None) => only(short, current, &for_all, station, entropy, mistakes),
        (None, Some(list)) => all(list, current, &for_all, station, entropy, mistakes),
        (None, None) => {
            if let Some(null) = sent.get("webhook_url") {
                null.wrong("must be a URL, or `destinations` be sent", mistakes);
            } else if current.is_empty() {
                mistakes.add(
                    "/webhook_url",
                    "is missing: say where events are relayed to",
                );
            }
            let mut kept = current.to_vec();
            for destination in &mut kept {
                for_all.apply(destination);
            }
            Ok(kept)
        }
    }
}

/// What is said at the top for all destinations.
struct ForAll {
    timeout_seconds: Option<u32>,
    strict: Option<Strict>,
}

impl ForAll {
    const fn apply(&self, destination: &mut Destination) {
        if let Some(timeout_seconds) = self.timeout_seconds {
            destination.timeout_seconds = timeout_seconds;
        }
        if let Some(strict) = self.strict {
            destination.strict = strict;
        }
    }
}

/// A destination of which nothing is said. The first is the provider's own
/// handler: it gets the credentials that it expects.
fn fresh(is_first: bool, entropy: &mut Entropy) -> Result<Destination, EntropyExhausted> {
    Ok(Destination {
        id: DestinationId::from_random(entropy.draw()?),
        url: String::new(),
        headers: BTreeMap::new(),
        timeout_seconds: 5,
        strict: Strict::default(),
        sign: true,
        forward_credentials: is_first,
        resign: Resign::default(),
        rate_per_second: 20,
    })
}

/// `webhook_url`: one destination. When the only one moves it stays the same
/// destination, so that what is on its way to it goes to the new URL.
fn only(
    node: &Node<'_>,
    current: &[Destination],
    for_all: &ForAll,
    station: &Station,
    entropy: &mut Entropy,
    mistakes: &mut Mistakes,
) -> Result<Vec<Destination>, EntropyExhausted> {
    let Some(url) = url(node, station, mistakes) else {
        return Ok(Vec::new());
    };
    let same = current
        .iter()
        .find(|known| destination_url::same(&known.url, url));
    let mut destination = match (same, current) {
        (Some(same), _) => same.clone(),
        (None, [only]) => only.clone(),
        (None, _) => fresh(true, entropy)?,
    };
    url.clone_into(&mut destination.url);
    for_all.apply(&mut destination);
    Ok(vec![destination])
}

fn all(
    list: &Node<'_>,
    current: &[Destination],
    for_all: &ForAll,
    station: &Station,
    entropy: &mut Entropy,
    mistakes: &mut Mistakes,
) -> Result<Vec<Destination>, EntropyExhausted> {
    let Some(entries) = list.list(MAX_DESTINATIONS, mistakes) else {
        return Ok(Vec::new());
    };
    if entries.is_empty() {
        list.wrong(
            "must have 1 to 10 entries: say where events are relayed to",
            mistakes,
        );
    }
    let entries: Vec<_> = entries
        .iter()
        .filter_map(|entry| entry.object(&KNOWN, mistakes))
        .collect();
    // Ids that are named are taken before URLs are compared.
    let named: Vec<_> = entries
        .iter()
        .map(|entry| named(entry, current, mistakes))
        .collect();
    let mut read: Vec<Destination> = Vec::new();
    for (index, (entry, id)) in entries.iter().zip(&named).enumerate() {
        let url = match entry.get("url") {
            Some(node) => url(node, station, mistakes),
            None if id.is_some() => None,
            None => entry.need("url", mistakes).and(None),
        };
        let known = current.iter().find(|known| match (id, url) {
            (Some(id), _) => known.id == *id,
            (None, Some(url)) => {
                destination_url::same(&known.url, url)
                    && !named.contains(&Some(known.id))
                    && read.iter().all(|earlier| earlier.id != known.id)
            }
            (None, None) => false,
        });
        let moved = match (entries.as_slice(), current) {
            ([_], [only]) if id.is_none() => Some(only),
            _ => None,
        };
        let mut destination = match known.or(moved) {
            Some(known) => known.clone(),
            None => fresh(index == 0, entropy)?,
        };
        if let Some(url) = url {
            url.clone_into(&mut destination.url);
        }
        for_all.apply(&mut destination);
        options(entry, &mut destination, mistakes);
        if id.is_some() && named.iter().take(index).any(|earlier| earlier == id) {
            if let Some(node) = entry.get("id") {
                node.wrong(
                    "is the id of an earlier destination: name each once",
                    mistakes,
                );
            }
        } else if !destination.url.is_empty()
            && read
                .iter()
                .any(|earlier| destination_url::same(&earlier.url, &destination.url))
            && let Some(node) = entry.get("url").or_else(|| entry.get("id"))
        {
            node.wrong(
                "has the URL of an earlier destination: name each once",
                mistakes,
            );
        }
        read.push(destination);
    }
    Ok(read)
}

/// The destination that an entry names by its id.
fn named(
    entry: &Object<'_>,
    current: &[Destination],
    mistakes: &mut Mistakes,
) -> Option<DestinationId> {
    let node = entry.get("id")?;
    let text = node.text(mistakes)?;
    let id = DestinationId::parse(text).filter(|id| current.iter().any(|known| known.id == *id));
    if id.is_none() {
        node.wrong(
            "is not a destination of this webhook: leave it out for a new one",
            mistakes,
        );
    }
    id
}

fn options(entry: &Object<'_>, destination: &mut Destination, mistakes: &mut Mistakes) {
    if let Some(headers) = entry
        .get("headers")
        .and_then(|node| headers::read(node, mistakes))
    {
        destination.headers = headers;
    }
    if let Some(timeout_seconds) = entry
        .get("timeout_seconds")
        .and_then(|node| node.whole(1, MAX_TIMEOUT_SECONDS, mistakes))
    {
        destination.timeout_seconds = timeout_seconds;
    }
    if let Some(rate) = entry
        .get("rate_per_second")
        .and_then(|node| node.whole(1, MAX_RATE, mistakes))
    {
        destination.rate_per_second = rate;
    }
    if let Some(strict) = entry.get("strict").and_then(|node| strict(node, mistakes)) {
        destination.strict = strict;
    }
    if let Some(resign) = entry
        .get("resign")
        .and_then(|node| node.choice(&RESIGN, mistakes))
    {
        destination.resign = resign;
    }
    let mut boolean = |name: &str, target: &mut bool| {
        if let Some(value) = entry.get(name).and_then(|node| node.boolean(mistakes)) {
            *target = value;
        }
    };
    boolean("sign", &mut destination.sign);
    boolean("forward_credentials", &mut destination.forward_credentials);
}

/// What answers have to say to be taken for success.
fn strict(node: &Node<'_>, mistakes: &mut Mistakes) -> Option<Strict> {
    match (node.value.as_bool(), node.value.as_str()) {
        (Some(strict), _) => Some(Strict::of(strict)),
        (_, Some(AUTO)) => Some(Strict::Auto),
        _ => {
            node.wrong("must be \"auto\", true or false", mistakes);
            None
        }
    }
}

/// A URL that events may be sent to. It is kept as it was written and read anew
/// whenever it is sent to.
pub(super) fn url<'a>(
    node: &Node<'a>,
    station: &Station,
    mistakes: &mut Mistakes,
) -> Option<&'a str> {
    let text = node.text(mistakes)?;
    match destination_url::check(text, station) {
        Ok(_) => Some(text),
        Err(why) => {
            node.wrong(why.to_string(), mistakes);
            None
        }
    }
}
