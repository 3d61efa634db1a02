//! How much memory a process has held, as Linux tells it in `/proc`.

use std::{fs, io, path::Path};

/// The highest resident size, in bytes, of the processes of this name in a process
/// group, together.
///
/// # Errors
/// When there are none, or they cannot be read.
pub(crate) fn peak_of(name: &str, group: u32) -> io::Result<u64> {
    let mut sum = None;
    for entry in fs::read_dir("/proc")? {
        let process = entry?.path();
        // Others come and go meanwhile.
        if belongs(&process, name, group).unwrap_or(false) {
            let status = fs::read_to_string(process.join("status"))?;
            sum = Some(sum.unwrap_or(0) + peak(&status)?);
        }
    }
    sum.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// `pid (name) state parent group …`; the name may hold anything.
fn belongs(process: &Path, name: &str, group: u32) -> io::Result<bool> {
    let stat = fs::read_to_string(process.join("stat"))?;
    let (before, after) = stat.rsplit_once(')').unwrap_or_default();
    let its_name = before.split_once('(').map(|(_, its_name)| its_name);
    let its_group = after.split_ascii_whitespace().nth(2);
    Ok(its_name == Some(name) && its_group == Some(group.to_string().as_str()))
}

fn peak(status: &str) -> io::Result<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.map(|kib| kib * 1_024)
        .ok_or_else(|| io::Error::other(format!("no VmHWM in {status}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_size_is_read() {
        let status = "Name:\tworkerd\nVmPeak:\t  9 kB\nVmHWM:\t  123456 kB\nVmRSS:\t  7 kB\n";
        assert_eq!(peak(status).unwrap(), 123_456 * 1_024);
        assert!(peak("Name:\tworkerd\n").is_err());
    }
}
