//! What documents tell to paste is pasted: their shell blocks are run by a shell in a
//! folder as `npm start` leaves it.

use crate::station::ADMIN_TOKEN;
use std::{
    env, fs,
    process::{Command, Stdio},
};

/// What stands between ```` ```sh ```` and ```` ``` ````, without its indentation.
///
/// # Panics
/// When a block is not closed.
#[must_use]
pub fn shell_blocks(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for line in text.lines() {
        let indentation = line.len() - line.trim_start().len();
        match &mut open {
            None if line.trim() == "```sh" => open = Some((indentation, String::new())),
            None => {}
            Some(_) if line.trim() == "```" => {
                blocks.extend(open.take().map(|(_, block)| block));
            }
            Some((indentation, block)) => {
                block.push_str(line.get(*indentation..).unwrap_or_default());
                block.push('\n');
            }
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

/// Runs these pieces in one shell, one after the other; what each wrote.
///
/// # Panics
/// When the shell cannot be run, fails, or does not know a command.
#[must_use]
#[track_caller]
pub fn paste(shell: &str, name: &str, pieces: &[&str]) -> Vec<String> {
    const NEXT: &str = "=== next ===";
    let pasted = pieces.join(&format!("\necho '{NEXT}'\n"));
    let folder = env::temp_dir().join(format!("tram-paste-{name}-{}-{shell}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder for .dev.vars");
    let variables = format!(
        "# as `npm start` writes it\nADMIN_TOKEN={ADMIN_TOKEN}\nALLOW_PRIVATE_DESTINATIONS=true\n"
    );
    fs::write(folder.join(".dev.vars"), variables).expect("the file is written");
    let run = Command::new(shell)
        .args(["-c", &pasted])
        .current_dir(&folder)
        .stdin(Stdio::null())
        .output();
    fs::remove_dir_all(&folder).expect("the folder goes");
    let run = run.unwrap_or_else(|why| panic!("{shell}: {why}"));
    let complaint = String::from_utf8_lossy(&run.stderr);
    // curl shows its progress there, when it is not told otherwise.
    assert!(
        run.status.success() && !complaint.contains("not found"),
        "{name}: {complaint}"
    );
    let said = String::from_utf8_lossy(&run.stdout);
    let said: Vec<_> = said
        .split(NEXT)
        .map(|part| part.trim().to_owned())
        .collect();
    assert_eq!(said.len(), pieces.len(), "{name}: {said:#?}");
    said
}

/// Whether there is such a program on this machine.
#[must_use]
pub fn is_there(program: &str) -> bool {
    Command::new(program)
        .arg("version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .is_ok_and(|mut child| child.wait().is_ok())
}
