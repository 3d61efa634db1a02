//! `docs/founding-systems.md` promises a test for each of its rows. This one fails when
//! a row names none, or one that is not there.

#[cfg(test)]
mod promises {
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    fn root() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    /// The cells of each row of each table, below the heading that stands over it.
    fn tables(document: &str) -> Vec<(String, Vec<Vec<String>>)> {
        let mut tables: Vec<(String, Vec<Vec<String>>)> = Vec::new();
        let mut is_in_table = false;
        for line in document.lines() {
            if let Some(heading) = line.strip_prefix("## ") {
                tables.push((heading.to_owned(), Vec::new()));
            }
            let Some(cells) = line.strip_prefix('|') else {
                is_in_table = false;
                continue;
            };
            // The first two lines are the head and the rule under it.
            let is_row = is_in_table && !cells.starts_with("---");
            is_in_table = true;
            if is_row {
                let cells = cells.strip_suffix('|').unwrap_or(cells);
                let cells = cells.split('|').map(|cell| cell.trim().to_owned());
                let (_, rows) = tables.last_mut().expect("a heading over the table");
                rows.push(cells.collect());
            }
        }
        tables
    }

    /// The pairs of file and test that the last cell of a row names.
    fn named(row: &[String]) -> Result<Vec<(String, String)>, String> {
        let [_, _, tests] = row else {
            return Err(format!("{} cells instead of 3", row.len()));
        };
        let mut found = Vec::new();
        for file_and_tests in tests.split(';') {
            let mut words = file_and_tests.split_whitespace().map(|word| {
                let word = word.strip_prefix('`')?.strip_suffix('`')?;
                (!word.is_empty()).then_some(word)
            });
            let (Some(Some(file)), mut tests) = (words.next(), words.by_ref().peekable()) else {
                return Err(format!("names no file in {file_and_tests:?}"));
            };
            if tests.peek().is_none() {
                return Err(format!("names no test of {file}"));
            }
            for test in tests {
                let test = test.ok_or(format!("not a name in {file_and_tests:?}"))?;
                found.push((file.to_owned(), test.to_owned()));
            }
        }
        Ok(found)
    }

    /// A file beside a `main.rs` that does not name it is never compiled.
    fn is_part(main: &str, module: &str) -> bool {
        let line = format!("mod {module};");
        module == "main" || main.lines().any(|other| other == line)
    }

    /// Whether that test stands in that file, and the file is part of a test binary.
    fn check(root: &Path, file: &str, test: &str) -> Result<(), String> {
        let path = if file.starts_with("core/") {
            root.join(file)
        } else {
            root.join("tests/tests").join(file)
        };
        let text = fs::read_to_string(&path).map_err(|why| format!("{file}: {why}"))?;
        let main = path.with_file_name("main.rs");
        let module = path.file_stem().and_then(|stem| stem.to_str());
        if let (Ok(main), Some(module)) = (fs::read_to_string(main), module)
            && !is_part(&main, module)
        {
            return Err(format!("{file} is no module of its main.rs"));
        }
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        let head = format!("fn {test}(");
        let is_test = lines
            .windows(2)
            .any(|pair| pair[0] == "#[test]" && pair[1].starts_with(&head));
        if is_test {
            Ok(())
        } else {
            Err(format!("{file} has no test {test}"))
        }
    }

    fn broken(document: &str) -> Vec<String> {
        let mut broken = Vec::new();
        for (heading, rows) in tables(document) {
            if rows.is_empty() {
                broken.push(format!("{heading}: no table"));
            }
            for row in rows {
                let checked = named(&row).and_then(|tests| {
                    let root = root();
                    tests
                        .iter()
                        .try_for_each(|(file, test)| check(&root, file, test))
                });
                if let Err(why) = checked {
                    broken.push(format!("{heading}: {:?}: {why}", row.first()));
                }
            }
        }
        broken
    }

    #[test]
    fn every_row_names_tests_that_are_there() {
        let path = root().join("docs/founding-systems.md");
        let document = fs::read_to_string(path).unwrap();
        assert_eq!(broken(&document), [""; 0]);
        let headings: Vec<_> = tables(&document)
            .into_iter()
            .map(|(heading, _)| heading)
            .collect();
        assert_eq!(
            headings,
            [
                "Casso: the webhook API, version 1",
                "ThueAPI: the webhook API",
                "Casso: setting a webhook up by hand",
                "Abaha",
                "SePay Bank Hub: the webhook's configuration",
                "Each provider from end to end",
            ]
        );
    }

    #[test]
    fn a_row_that_promises_what_is_not_there_is_found() {
        let here = "`core/tests/founding_systems.rs`";
        let good = format!("{here} `every_row_names_tests_that_are_there`");
        for (last, why) in [
            (good.as_str(), None),
            ("", Some("names no file")),
            ("by hand", Some("names no file")),
            (here, Some("names no test of")),
            ("`nowhere.rs` `a`", Some("nowhere.rs: ")),
            (&format!("{here} `nobody`"), Some("has no test nobody")),
            // A function that is no test proves nothing.
            (&format!("{here} `root`"), Some("has no test root")),
            (
                &format!("{good}; {here} `nobody`"),
                Some("has no test nobody"),
            ),
            (&format!("{good} `nobody`"), Some("has no test nobody")),
            (&format!("{good} and more"), Some("not a name")),
            (&format!("{good} | x"), Some("4 cells")),
        ] {
            let document = format!("## A\n\n| a | b | c |\n|---|---|---|\n| x | y | {last} |\n");
            let broken = broken(&document);
            match why {
                None => assert_eq!(broken, [""; 0]),
                Some(why) => {
                    assert_eq!(broken.len(), 1, "{last}");
                    assert!(broken[0].contains(why), "{last}: {broken:?}");
                }
            }
        }
        assert_eq!(broken("## A\n\n## B\n\ntext\n").len(), 2);
        assert!(is_part("mod a;\nmod b;\n", "b") && is_part("", "main"));
        assert!(!is_part("mod a;\n// mod b;\n", "b"));
    }
}
