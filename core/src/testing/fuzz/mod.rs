//! What has to hold whatever comes from outside: one function for each kind of
//! parser, which takes any bytes and panics when it does not hold.
//!
//! `fuzz/` runs them under libFuzzer; the tests here run them over all that is kept in
//! `fuzz/seeds`, so that a mistake that was found once stays mended. Inputs are text
//! wherever they can be: what is to be fed in stands in the first lines, the body
//! behind them. Not part of the Worker.

mod answers;
mod canonical_json;
mod forms;
mod headers;
mod inbound;
mod items;
mod management;
mod messages;
mod multipart;
mod proof;
mod signatures;

pub use answers::answers;
pub use canonical_json::canonical_json;
pub use forms::forms;
pub use headers::headers;
pub use inbound::inbound;
#[cfg(test)]
pub(crate) use inbound::proves;
pub use items::items;
pub use management::management;
pub use messages::messages;
pub use multipart::multipart;
#[cfg(test)]
pub(crate) use proof::{SECRET, settings};
pub use signatures::signatures;

/// What runs one input.
pub type Target = fn(&[u8]);

/// All targets, under the names that they have in `fuzz/`.
pub const TARGETS: [(&str, Target); 10] = [
    ("answers", answers),
    ("canonical_json", canonical_json),
    ("forms", forms),
    ("headers", headers),
    ("inbound", inbound),
    ("items", items),
    ("management", management),
    ("messages", messages),
    ("multipart", multipart),
    ("signatures", signatures),
];

/// The first line and what stands behind it.
fn line(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == b'\n') {
        Some(end) => {
            let (line, rest) = data.split_at(end);
            (line, rest.strip_prefix(b"\n").unwrap_or_default())
        }
        None => (data, b""),
    }
}

/// The first line as text, and what stands behind it.
fn text_line(data: &[u8]) -> (String, &[u8]) {
    let (line, rest) = line(data);
    (String::from_utf8_lossy(line).into_owned(), rest)
}

#[cfg(test)]
mod tests {
    use super::TARGETS;
    use std::{
        collections::BTreeSet,
        fs,
        panic::catch_unwind,
        path::{Path, PathBuf},
    };

    fn fuzz() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
    }

    /// The names in a folder, without their endings.
    fn names(folder: &str) -> BTreeSet<String> {
        fs::read_dir(fuzz().join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn what_is_listed_is_what_is_fuzzed() {
        let listed = TARGETS.map(|(name, _)| name.to_owned()).into();
        assert_eq!(names("fuzz_targets"), listed);
        assert_eq!(names("seeds"), listed);
    }

    #[test]
    fn everything_holds_of_what_is_kept() {
        let mut broken = Vec::new();
        for (name, target) in TARGETS {
            let folder = fuzz().join("seeds").join(name);
            let mut run = 0;
            for entry in fs::read_dir(&folder).unwrap() {
                let file = entry.unwrap().path();
                let data = fs::read(&file).unwrap();
                if catch_unwind(|| target(&data)).is_err() {
                    broken.push(file);
                }
                run += 1;
            }
            assert!(run > 0, "nothing is kept in {}", folder.display());
        }
        assert!(broken.is_empty(), "broken by {broken:#?}");
    }
}
