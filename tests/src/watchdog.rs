//! Ends what a test has started when the test is gone, however it went: a shell
//! that waits for the end of its input, which the system closes for us even when
//! we are killed. Neither `Drop` of a static nor `atexit` can promise that.

use std::{
    io::{self, Write as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
};

/// Every line replaces the process group that is to be killed; none is an empty
/// line. At the end the folder goes as well.
const SCRIPT: &str = r#"
while read -r line; do group=$line; done
if [ -n "$group" ]; then kill -s KILL -- "-$group" 2>/dev/null; sleep 0.2; fi
rm -rf -- "$1"
"#;

/// Guards one process group and one folder.
pub(crate) struct Watchdog {
    shell: Child,
}

impl Watchdog {
    /// Guards `folder`, and no group until it is told of one.
    pub(crate) fn of(folder: &Path) -> io::Result<Self> {
        let shell = Command::new("/bin/sh")
            .arg("-c")
            .arg(SCRIPT)
            .arg("watchdog")
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            // An interrupt from the terminal is for the test, not for its guard.
            .process_group(0)
            .spawn()?;
        Ok(Self { shell })
    }

    /// Guards this group from now on, or none.
    pub(crate) fn guard(&mut self, group: Option<u32>) -> io::Result<()> {
        let group = group.map_or_else(String::new, |group| group.to_string());
        let stdin = self.shell.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(stdin, "{group}")
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait::{PATIENCE, wait_until};
    use std::{env, fs, os::unix::process::ExitStatusExt as _};

    fn sleeper() -> Child {
        Command::new("sleep")
            .arg("600")
            .process_group(0)
            .spawn()
            .unwrap()
    }

    #[test]
    fn the_end_of_the_test_is_the_end_of_what_it_started() {
        let folder = env::temp_dir().join(format!("tram-watchdog-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("file"), "x").unwrap();
        let (mut released, mut guarded) = (sleeper(), sleeper());
        let mut watchdog = Watchdog::of(&folder).unwrap();
        watchdog.guard(Some(released.id())).unwrap();
        watchdog.guard(None).unwrap();
        watchdog.guard(Some(guarded.id())).unwrap();
        drop(watchdog);

        let ended = wait_until("the guarded process to end", PATIENCE, || {
            guarded.try_wait().unwrap()
        });
        assert_eq!(ended.signal(), Some(9));
        assert!(!folder.exists());
        assert!(released.try_wait().unwrap().is_none());
        released.kill().unwrap();
        released.wait().unwrap();
    }
}
