//! What a station is made of: the built Worker, the project's configuration, and
//! the tools that run them.
//!
//! The environment says what to use: `TRAM_NODE` (default
//! `node_modules/.bin/node`), `TRAM_WRANGLER` (default
//! `node_modules/wrangler/bin/wrangler.js`), `TRAM_BUILD` (default `build`, the
//! folder of the built Worker), `TRAM_SQL_SUITE_BUILD` (default
//! `tests/sql-suite/build`, that of the Worker for the SQL suite).

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

/// The Node.js that wrangler runs on.
pub(crate) fn node() -> PathBuf {
    from_environment("TRAM_NODE", "node_modules/.bin/node")
}

/// wrangler's script.
pub(crate) fn wrangler() -> PathBuf {
    from_environment("TRAM_WRANGLER", "node_modules/wrangler/bin/wrangler.js")
}

/// A built Worker and its configuration.
#[derive(Debug)]
pub(crate) struct Worker {
    build: PathBuf,
    configuration: PathBuf,
    how_to_build: &'static str,
}

impl Worker {
    /// The one that is deployed.
    pub(crate) fn tram() -> Self {
        Self {
            build: from_environment("TRAM_BUILD", "build"),
            configuration: root().join("wrangler.toml"),
            how_to_build: "build the Worker first: npm run build",
        }
    }

    /// The one that runs the core's SQL suite.
    pub(crate) fn sql_suite() -> Self {
        Self {
            build: from_environment("TRAM_SQL_SUITE_BUILD", "tests/sql-suite/build"),
            configuration: root().join("tests/sql-suite/wrangler.toml"),
            how_to_build: "build its Worker first: npm run build -- tests/sql-suite",
        }
    }

    /// Copies it into `folder`, so that a rebuild disturbs nobody, and puts the
    /// configuration beside it.
    pub(crate) fn lay_out(&self, folder: &Path) -> io::Result<()> {
        copy(&self.build, folder).map_err(|why| advise(&self.build, &why, self.how_to_build))?;
        let text = fs::read_to_string(&self.configuration)
            .map_err(|why| advise(&self.configuration, &why, "it is part of the project"))?;
        fs::write(folder.join("wrangler.toml"), without_build(&text)?)
    }
}

/// A Worker's configuration, serving the copy as it is. Everything
/// else, such as bindings and migrations, stays.
fn without_build(configuration: &str) -> io::Result<String> {
    let mut configuration: toml_edit::DocumentMut =
        configuration.parse().map_err(io::Error::other)?;
    configuration.remove("build");
    configuration["main"] = toml_edit::value("index.js");
    configuration["no_bundle"] = toml_edit::value(true);
    let mut rule = toml_edit::Table::new();
    rule["type"] = toml_edit::value("ESModule");
    rule["globs"] = toml_edit::value(toml_edit::Array::from_iter(["**/*.js"]));
    let mut rules = toml_edit::ArrayOfTables::new();
    rules.push(rule);
    configuration["rules"] = toml_edit::Item::ArrayOfTables(rules);
    Ok(configuration.to_string())
}

/// Copies what the runtime loads: scripts and modules, folders included.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy(&path, &target)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "js" || extension == "wasm")
        {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}

/// A path from the environment, else one within the project.
fn from_environment(name: &str, default: &str) -> PathBuf {
    env::var_os(name).map_or_else(|| root().join(default), PathBuf::from)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ stands in the project")
}

pub(crate) fn advise(path: &Path, why: &io::Error, advice: &str) -> io::Error {
    io::Error::other(format!("{}: {why}: {advice}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_keeps_all_but_how_it_is_built() {
        let project = fs::read_to_string(root().join("wrangler.toml")).unwrap();
        let before: toml_edit::DocumentMut = project.parse().unwrap();
        let after: toml_edit::DocumentMut = without_build(&project).unwrap().parse().unwrap();
        assert!(!after.contains_key("build"));
        assert_eq!(after["main"].as_str(), Some("index.js"));
        for (key, item) in before.iter() {
            if !["build", "main"].contains(&key) {
                assert_eq!(after[key].to_string(), item.to_string(), "{key}");
            }
        }
    }
}
