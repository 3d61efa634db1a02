//! What docs/api.md says of each route is true as it stands there: its commands are run
//! by `sh` (and `bash`) as pasted, from top to bottom, and answer as it says. Where curl
//! is missing there is nothing to run them with.

use std::{collections::BTreeSet, fs};
use tram_tests::{Origin, Station, description, is_there, methods, paste, shell_blocks};

/// Every curl also says which status it was answered with.
const WITH_STATUS: &str = "curl() { command curl -w '\\nstatus=%{http_code}\\n' \"$@\"; }\n";

/// A route, the commands that are pasted for it, and the status that it promises.
struct Section {
    route: String,
    commands: String,
    status: String,
}

/// The blocks before the first route, and the routes.
fn read(document: &str) -> (String, Vec<Section>) {
    let mut parts = document.split("\n### `");
    let opening = shell_blocks(parts.next().expect("an opening")).concat();
    let sections = parts.map(|part| {
        let (route, text) = part.split_once("`\n").expect("a heading");
        let promise = text.split_once("Answers `").map(|(_, rest)| rest);
        let status = promise.and_then(|rest| rest.split('`').next());
        Section {
            route: route.to_owned(),
            commands: shell_blocks(text).concat(),
            status: status
                .unwrap_or_else(|| panic!("{route}: no promise"))
                .to_owned(),
        }
    });
    (opening, sections.collect())
}

fn document() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/api.md");
    fs::read_to_string(path).expect("docs/api.md is there")
}

#[test]
fn every_route_that_is_described_has_its_command() {
    let (_, sections) = read(&document());
    let shown: BTreeSet<_> = sections.into_iter().map(|one| one.route).collect();
    let paths = description()["paths"].as_object().expect("paths");
    let described = paths.iter().flat_map(|(path, item)| {
        let path = path.strip_prefix("/api/v1").unwrap_or(path);
        let methods = methods(item).into_iter();
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    // The same as their neighbours, in other words.
    let told_beside = [
        "HEAD /healthz",
        "PUT /in/{webhook_id}",
        "PATCH /in/{webhook_id}",
        "HEAD /in/{webhook_id}",
        "OPTIONS /in/{webhook_id}",
    ];
    let described: BTreeSet<_> = described
        .filter(|one| !told_beside.contains(&one.as_str()))
        .collect();
    assert_eq!(shown, described);
}

#[test]
fn every_command_is_answered_as_promised() {
    if !is_there("curl") {
        eprintln!("left out: no curl on this machine");
        return;
    }
    let station = Station::start();
    let origin = Origin::start();
    let (opening, sections) = read(&document());
    let here = |text: &str| {
        text.replace("http://localhost:8787", &station.url(""))
            .replace("http://localhost:3000/hook", &origin.url("/hook"))
    };
    for shell in ["sh", "bash"].into_iter().filter(|shell| is_there(shell)) {
        let mut pieces = vec![format!("{WITH_STATUS}{}", here(&opening))];
        pieces.extend(sections.iter().map(|one| here(&one.commands)));
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        let said = paste(shell, "api", &pieces);
        for (section, said) in sections.iter().zip(&said[1..]) {
            let statuses: Vec<_> = said
                .lines()
                .filter_map(|line| line.strip_prefix("status="))
                .collect();
            let last = statuses
                .last()
                .unwrap_or_else(|| panic!("{}: {said}", section.route));
            assert_eq!(*last, section.status, "{} ({shell}): {said}", section.route);
            assert!(
                statuses.iter().all(|one| one.starts_with('2')),
                "{}: {said}",
                section.route
            );
        }
    }
}
