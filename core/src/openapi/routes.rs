//! Routes and problems: those of the sources, read as text, and no others.

use super::{DOCUMENT, keys, texts};
use crate::providers;
use std::{collections::BTreeSet, fs, path::Path};

const MANAGE: &str = include_str!("../../../src/manage.rs");

/// The routes of `Manager::route`: `("GET", ["webhooks", id]) =>` is
/// `GET /webhooks/{webhook_id}`. What anyone may GET stands before, in an `if let`.
fn routes_of_the_router() -> BTreeSet<String> {
    let start = MANAGE.find("async fn route(").unwrap();
    let end = MANAGE.find("Problem::route_not_found").unwrap();
    let router = &MANAGE[start..end];
    let (public, _) = router.split_once("] = parts").unwrap();
    let (_, public) = public.split_once("if let [").unwrap();
    let mut routes = spelled_out("GET", public);
    for (at, sign) in router.match_indices("\", [") {
        let method = router[..at].rsplit('"').next().unwrap();
        let (parts, _) = router[at + sign.len()..].split_once(']').unwrap();
        routes.extend(spelled_out(method, parts));
    }
    routes.into_iter().collect()
}

/// One route for each choice that the pattern leaves.
fn spelled_out(method: &str, parts: &str) -> Vec<String> {
    if parts == "METRICS" {
        return vec![format!("{method} /metrics")];
    }
    let mut paths = vec![String::new()];
    for part in parts.split(',') {
        // `what @ ("pause" | "resume")`
        let part = part.rsplit('@').next().unwrap().trim();
        let part = part.trim_start_matches('(').trim_end_matches(')');
        let mut longer = Vec::new();
        for path in &paths {
            for choice in part.split('|').map(str::trim).filter(|one| !one.is_empty()) {
                let segment = match (choice.starts_with('"'), path.as_str()) {
                    (true, _) => choice.trim_matches('"'),
                    (false, "/webhooks") => "{webhook_id}",
                    (false, "/events") => "{event_id}",
                    (false, "/jobs") => "{job_id}",
                    (false, _) => panic!("what is {choice} in {path}?"),
                };
                longer.push(format!("{path}/{segment}"));
            }
        }
        paths = longer;
    }
    let written = paths.iter().map(|path| format!("{method} /api/v1{path}"));
    written.collect()
}

/// Those beside the API and its providers.
fn routes_of_the_worker() -> BTreeSet<String> {
    let lib = include_str!("../../../src/lib.rs");
    let (_, last) = lib.split_once("match (path.as_str(),").unwrap();
    let mut known = BTreeSet::new();
    for arm in last.split("(\"/").skip(1) {
        let (path, rest) = arm.split_once("\", ").unwrap();
        let (methods, _) = rest.split_once(')').unwrap();
        for method in methods.split('|').map(str::trim).filter(|one| *one != "_") {
            known.insert(format!("{} /{path}", method.trim_matches('"')));
        }
    }
    known
}

#[test]
fn every_route_is_described_and_no_other() {
    let (managing, beside) = (routes_of_the_router(), routes_of_the_worker());
    assert!(managing.len() > 20, "the router is not read: {managing:?}");
    assert!(beside.contains("GET /healthz"), "not read: {beside:?}");
    let methods = providers::ALL.iter().flat_map(|one| one.about().methods);
    // All are probed, by whatever method they do not deliver by.
    let methods = methods.chain(&["GET", "HEAD", "OPTIONS"]);
    let receiving = methods.map(|method| format!("{method} /in/{{webhook_id}}"));
    let known: BTreeSet<_> = managing
        .into_iter()
        .chain(beside)
        .chain(receiving)
        .collect();

    let paths = DOCUMENT["paths"].as_object().unwrap();
    let described = paths.iter().flat_map(|(path, item)| {
        let methods = keys(item).into_iter().filter(|key| key != "parameters");
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    assert_eq!(known, described.collect());
}

/// The pairs of status and code in `Problem::new(404, "…"`, wherever one is made.
fn problems_of_the_sources(folder: &Path, found: &mut BTreeSet<(u64, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            problems_of_the_sources(&path, found);
            continue;
        }
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        for made in text.split("::new(").skip(1) {
            let Some((status, rest)) = made.split_once(',') else {
                continue;
            };
            let (Ok(status), Some(rest)) = (status.trim().parse(), rest.trim().strip_prefix('"'))
            else {
                continue;
            };
            let (code, _) = rest.split_once('"').unwrap();
            if code
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            {
                found.insert((status, code.to_owned()));
            }
        }
    }
}

#[test]
fn every_problem_is_described_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut known = BTreeSet::new();
    problems_of_the_sources(&root.join("src"), &mut known);
    problems_of_the_sources(&root.join("../src"), &mut known);
    assert!(known.contains(&(503, "try_again".into())), "{known:?}");

    let responses = DOCUMENT["components"]["responses"].as_object().unwrap();
    let mut described = BTreeSet::new();
    for response in responses.values() {
        let special = &response["content"]["application/problem+json"]["schema"]["allOf"][1];
        let status = special["properties"]["status"]["const"].as_u64().unwrap();
        let code = &special["properties"]["code"];
        match code["const"].as_str() {
            Some(code) => described.extend([(status, code.to_owned())]),
            None => described.extend(texts(&code["enum"]).into_iter().map(|code| (status, code))),
        }
    }
    assert_eq!(known, described);
    let codes: BTreeSet<_> = known.into_iter().map(|(_, code)| code).collect();
    let listed = &DOCUMENT["components"]["schemas"]["Problem"]["properties"]["code"]["enum"];
    assert_eq!(codes, texts(listed));
}

#[test]
fn the_version_is_that_of_the_program() {
    assert_eq!(DOCUMENT["info"]["version"], env!("CARGO_PKG_VERSION"));
}
