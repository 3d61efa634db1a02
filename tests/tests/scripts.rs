//! What `npm run …` starts: it says what it is for, leaves a clone as it was, and lets no
//! two stations run on one state.

use serde_json::Value;
use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::Duration,
};
use tram_tests::{project_root, script};

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tram-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is being killed may still write.
        for _ in 0..20 {
            if fs::remove_dir_all(&self.0).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(200));
        }
    }
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn every_command_says_what_it_is_for() {
    let package = fs::read_to_string(project_root().join("package.json")).expect("package.json");
    let package: Value = serde_json::from_str(&package).expect("JSON");
    let commands = package["scripts"].as_object().expect("commands");
    for (name, command) in commands {
        let file = command.as_str().and_then(|line| line.strip_prefix("node "));
        let file = file.unwrap_or_else(|| panic!("{name}: {command}"));
        for word in ["--help", "-h"] {
            let output = script(&format!("../{file}")).args(["x", word]).output();
            let output = output.expect("node runs");
            let said = said(&output);
            assert!(output.status.success(), "{name}: {said}");
            let lines = said.lines().count();
            assert!((3..25).contains(&lines), "{name}: {lines} lines\n{said}");
            let run = match name.as_str() {
                "start" | "test" => format!("npm {name}"),
                _ => format!("npm run {name}"),
            };
            assert!(said.contains(&run), "{name}: {said}");
            let is_code = |line: &str| line.starts_with("//") || line.contains("import");
            assert!(!said.lines().any(is_code), "{name}: {said}");
        }
    }
}

fn in_folder(folder: &Path, program: &str, words: &[&str]) -> String {
    let mut command = Command::new(program);
    let output = command.args(words).current_dir(folder).output();
    let output = output.unwrap_or_else(|why| panic!("{program}: {why}"));
    assert!(
        output.status.success(),
        "{program} {words:?}: {}",
        said(&output)
    );
    said(&output)
}

#[test]
fn installing_leaves_a_fresh_clone_as_it_was() {
    let clone = Folder::new("clone");
    let root = project_root();
    fs::create_dir(clone.0.join("scripts")).expect("a folder");
    let scripts = fs::read_dir(root.join("scripts")).expect("scripts");
    let scripts =
        scripts.map(|entry| format!("scripts/{}", entry.expect("a file").file_name().display()));
    let others = [
        ".gitignore",
        "package.json",
        "package-lock.json",
        "Cargo.lock",
        "rust-toolchain.toml",
    ];
    for name in scripts.chain(others.map(str::to_owned)) {
        fs::copy(root.join(&name), clone.0.join(&name))
            .unwrap_or_else(|why| panic!("{name}: {why}"));
    }
    in_folder(&clone.0, "git", &["init", "--quiet"]);
    in_folder(&clone.0, "git", &["add", "--all"]);

    let mut tools = Command::new(tram_tests::node());
    let tools = tools.arg("scripts/tools.mjs").current_dir(&clone.0);
    // What the project itself has installed is in npm's cache.
    let output = tools
        .env("npm_config_prefer_offline", "true")
        .output()
        .expect("node runs");
    assert!(output.status.success(), "{}", said(&output));
    assert!(clone.0.join("node_modules/wrangler").is_dir());
    let changed = in_folder(&clone.0, "git", &["status", "--porcelain"]);
    let changed: Vec<_> = changed
        .lines()
        .filter(|line| !line.starts_with("A  "))
        .collect();
    assert_eq!(changed, [""; 0]);
}

#[test]
fn the_lock_names_the_packages_of_every_system() {
    let lock = fs::read_to_string(project_root().join("package-lock.json")).expect("a lock");
    let lock: Value = serde_json::from_str(&lock).expect("JSON");
    let packages = lock["packages"].as_object().expect("packages");
    let mut looked_at = 0;
    for (place, package) in packages {
        let optional = package["optionalDependencies"].as_object();
        for name in optional.into_iter().flat_map(|names| names.keys()) {
            looked_at += 1;
            // As Node.js looks for it: in the folder itself, then in those around it.
            let mut around = Some(place.as_str());
            let is_named = std::iter::from_fn(|| {
                let folder = around?;
                around = folder
                    .rsplit_once("node_modules/")
                    .map(|(outer, _)| outer.trim_end_matches('/'));
                Some(
                    [folder, "/node_modules/", name]
                        .concat()
                        .trim_start_matches('/')
                        .to_owned(),
                )
            })
            .any(|path| packages.contains_key(&path));
            assert!(
                is_named,
                "{place} may need {name}, which package-lock.json does not name"
            );
        }
    }
    assert!(looked_at > 20, "{looked_at}");
}

/// `scripts/station.mjs` on this state.
fn station(state: &Path) -> Command {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let mut command = script("station.mjs");
    command
        .arg("--port")
        .arg(port.expect("a free port").port().to_string())
        .arg("--persist-to")
        .arg(state)
        .arg("ADMIN_TOKEN=token-of-a-test");
    command
}

/// Starts it, and waits until it says that it is ready.
fn started(state: &Path) -> Child {
    let mut child = station(state)
        .stdout(Stdio::piped())
        .spawn()
        .expect("node runs");
    let mut line = String::new();
    let out = child.stdout.take().expect("its output");
    BufReader::new(out).read_line(&mut line).expect("a line");
    let ready: Value = serde_json::from_str(&line).unwrap_or_else(|why| panic!("{why}: {line}"));
    assert!(ready["url"].is_string(), "{line}");
    child
}

fn end(mut station: Child) {
    // Its end ends wrangler and the runtime; killed, it can see to nothing itself.
    station.kill().expect("it runs");
    let _ = station.wait();
}

#[test]
fn two_stations_on_one_state_are_refused_and_a_killed_one_leaves_no_lock() {
    let folder = Folder::new("state");
    let state = folder.0.join("state");
    let one = started(&state);
    let link = folder.0.join("link");
    symlink(&state, &link).expect("a link");
    for same in [&state, &link, &folder.0.join("link/../link/.")] {
        let second = station(same).output().expect("node runs");
        let said = said(&second);
        assert_eq!(second.status.code(), Some(1), "{said}");
        assert!(
            said.contains("another station runs on this state"),
            "{said}"
        );
        assert!(
            said.contains("--persist-to") && !said.contains("SQLITE"),
            "{said}"
        );
    }
    // Beside it, on other state.
    end(started(&folder.0.join("other")));
    end(one);
    end(started(&state));
}
