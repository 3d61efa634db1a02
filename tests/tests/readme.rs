//! What README.md says of connecting providers is true as it stands there: its shell
//! blocks are run by `sh` (and `bash`) as pasted, section by section, against a
//! station. Where curl or openssl are missing there is nothing to run them with.

use std::fs;
use tram_tests::{Origin, Station, is_there, paste, shell_blocks};

/// The heading under which every shell block is run.
const CHAPTER: &str = "## Connecting a provider, step by step";

/// A provider that is connected, step by step.
#[derive(Debug, Default)]
struct Section {
    title: String,
    /// What is pasted before.
    steps: Vec<String>,
    /// The request that a provider would make.
    proof: String,
    /// What is pasted afterwards.
    rest: Vec<String>,
}

/// The blocks before the first section, and the sections.
fn chapter(readme: &str) -> (String, Vec<Section>) {
    let (_, chapter) = readme.split_once(CHAPTER).expect("README has the chapter");
    let (chapter, _) = chapter.split_once("\n## ").expect("another one follows");
    let (opening, rest) = chapter.split_once("\n### ").expect("it has sections");
    let sections = rest.split("\n### ").map(|section| {
        let (title, text) = section.split_once('\n').expect("a section has a text");
        let mut blocks = shell_blocks(text).into_iter();
        let is_proof = |block: &String| block.contains("curl -i ");
        let mut steps = Vec::new();
        let proof = loop {
            match blocks.next() {
                Some(block) if is_proof(&block) => break block,
                Some(block) => steps.push(block),
                None => panic!("{title}: nothing proves it"),
            }
        };
        Section {
            title: title.to_owned(),
            steps,
            proof,
            rest: blocks.collect(),
        }
    });
    (shell_blocks(opening).concat(), sections.collect())
}

/// What the first command sends along of a handler's own key.
const KEY_SENT: &str = r#""secret":"'"$KEY"'","#;

/// The section for those who have no handler: they leave the key out.
fn without_a_key(section: &Section) -> Section {
    let steps = section.steps.iter().map(|step| step.replace(KEY_SENT, ""));
    Section {
        title: format!("{} without a key", section.title),
        steps: steps.collect(),
        proof: section.proof.clone(),
        rest: section.rest.clone(),
    }
}

/// Runs the section in one shell: its steps, its proof twice, the proof with another
/// secret, the rest. Returns what each of the five wrote.
fn paste_section(shell: &str, opening: &str, section: &Section) -> Vec<String> {
    let steps = format!("{opening}{}", section.steps.concat());
    let wrong = format!(
        "RIGHT=$SECRET\nSECRET=wrong\n{}SECRET=$RIGHT\n",
        section.proof
    );
    let rest = section.rest.concat();
    let pieces = [&steps, &section.proof, &section.proof, &wrong, &rest];
    paste(shell, "readme", &pieces.map(String::as_str))
}

/// The status and `x-tram-outcome` of what `curl -i` wrote.
fn outcome(answer: &str) -> (&str, &str) {
    let status = answer.split_whitespace().nth(1).unwrap_or_default();
    let outcome = answer
        .lines()
        .find_map(|line| line.strip_prefix("x-tram-outcome: "));
    (status, outcome.unwrap_or_default().trim())
}

#[test]
fn every_provider_is_connected_by_pasting() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md"));
    let (opening, sections) = chapter(&readme.expect("README.md is there"));
    let mut named: Vec<_> = sections.iter().map(provider).collect();
    named.sort_unstable();
    assert_eq!(
        named,
        [
            "abaha",
            "casso",
            "casso-v2",
            "sepay",
            "sepay-bankhub",
            "sepay-hmac",
            "thueapi"
        ]
    );
    for section in &sections {
        let first = section.steps.first().map(String::as_str);
        let first = first.unwrap_or_default();
        // A handler that keeps its key would refuse everything that a new one proves.
        assert!(
            first.starts_with("KEY=") && first.contains(KEY_SENT),
            "{}: the first command does not send the handler's key along",
            section.title
        );
    }
    if !is_there("curl") || !is_there("openssl") {
        eprintln!("left out: no curl or no openssl on this machine");
        return;
    }

    let station = Station::start();
    let shells = ["sh", "bash"].into_iter().filter(|shell| is_there(shell));
    for shell in shells {
        for section in &sections {
            let origin = Origin::start();
            let here = |text: &str| {
                text.replace("http://localhost:8787", &station.url(""))
                    .replace("http://localhost:3000/hook", &origin.url("/hook"))
            };
            let section = Section {
                title: format!("{} ({shell})", section.title),
                steps: section.steps.iter().map(|step| here(step)).collect(),
                proof: here(&section.proof),
                rest: section.rest.iter().map(|step| here(step)).collect(),
            };
            connect(shell, &here(&opening), &section, &origin);
            let origin_of_another = Origin::start();
            let mut another = without_a_key(&section);
            for step in &mut another.steps {
                *step = step.replace(&origin.url("/hook"), &origin_of_another.url("/hook"));
            }
            connect(shell, &here(&opening), &another, &origin_of_another);
        }
    }
}

/// The `"provider":"…"` that a section creates.
fn provider(section: &Section) -> &str {
    section
        .steps
        .iter()
        .find_map(|step| step.split_once(r#""provider":""#)?.1.split('"').next())
        .unwrap_or_else(|| panic!("{}: no provider", section.title))
}

fn connect(shell: &str, opening: &str, section: &Section, origin: &Origin) {
    let said = paste_section(shell, opening, section);
    let [created, first, second, wrong, rest] = said.as_slice() else {
        panic!("{said:#?}");
    };
    let title = &section.title;
    assert!(
        created.contains(r#""ingest_url":"http"#),
        "{title}: {created}"
    );
    assert_eq!(outcome(first), ("200", "accepted"), "{title}: {first}");
    assert_eq!(outcome(second), ("200", "duplicate"), "{title}: {second}");
    assert_eq!(outcome(wrong), ("401", "refused"), "{title}: {wrong}");
    if !section.rest.is_empty() {
        assert!(rest.starts_with(r#"{"data":[{"#), "{title}: {rest}");
    }
    let [relayed] = &origin.wait_for(1)[..] else {
        panic!("{title}: relayed more than once");
    };
    let named = relayed.header("x-tram-provider");
    assert_eq!(named, Some(provider(section)), "{title}");
}
