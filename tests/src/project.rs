//! What a station is made of: the built Worker, the project's configuration, and
//! the tools that run them.
//!
//! The environment says what to use: `TRAM_NODE` (default
//! `node_modules/.bin/node`), `TRAM_WRANGLER` (default
//! `node_modules/wrangler/bin/wrangler.js`), `TRAM_BUILD` (default `build`, the
//! folder of the built Worker), `TRAM_SQL_SUITE_BUILD` (default
//! `tests/sql-suite/build`, that of the Worker for the SQL suite).

use std::{
    collections::BTreeMap,
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
};
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, value};

/// The Node.js that wrangler runs on.
#[must_use]
pub fn node() -> PathBuf {
    from_environment("TRAM_NODE", "node_modules/.bin/node")
}

/// wrangler's script.
pub(crate) fn wrangler() -> PathBuf {
    from_environment("TRAM_WRANGLER", "node_modules/wrangler/bin/wrangler.js")
}

/// One of the project's scripts, as `npm run` starts it.
#[must_use]
pub fn script(name: &str) -> Command {
    let mut command = Command::new(node());
    command
        .arg(root().join("scripts").join(name))
        .current_dir(root());
    command
}

/// The host that leads to the second isolate.
pub(crate) const TWIN_HOST: &str = "elsewhere.test";

/// Which Worker runs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Worker {
    /// The one that is deployed.
    #[default]
    Tram,
    /// The one that runs the core's SQL suite.
    SqlSuite,
}

impl Worker {
    fn configuration(self) -> PathBuf {
        root().join(match self {
            Self::Tram => "wrangler.toml",
            Self::SqlSuite => "tests/sql-suite/wrangler.toml",
        })
    }

    fn build(self) -> PathBuf {
        match self {
            Self::Tram => from_environment("TRAM_BUILD", "build"),
            Self::SqlSuite => from_environment("TRAM_SQL_SUITE_BUILD", "tests/sql-suite/build"),
        }
    }

    fn how_to_build(self) -> &'static str {
        match self {
            Self::Tram => "build the Worker first: npm run build",
            Self::SqlSuite => "build its Worker first: npm run build -- tests/sql-suite",
        }
    }
}

/// The Worker and what stands around it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surroundings {
    /// The Worker itself.
    pub(crate) worker: Worker,
    /// The KV namespace.
    pub(crate) kv: Kv,
    /// Whether the objects' calls and rows are counted in the log.
    pub(crate) counted: bool,
    /// Where Mailboxes ask what is to become of a call.
    pub(crate) fate: Option<String>,
    /// How many requests Mailboxes may make in a call.
    pub(crate) most_requests: Option<u32>,
    /// A second Worker of the same code, with the first one's objects and KV.
    pub(crate) twin: bool,
}

/// The KV namespace.
#[derive(Clone, Debug, Default)]
pub(crate) enum Kv {
    /// The runtime's own.
    #[default]
    Local,
    /// None is bound.
    Absent,
    /// Every call becomes a request to this address.
    At(String),
}

/// The Worker with a KV that hands every call to an HTTP server, whose answers are
/// KV's. An object of this isolate, as the real one is: a service binding is not
/// enough, its methods cannot be called by `Function.prototype.call`.
const WITH_KV: &str = r"
import Worker from './index.js'
export * from './index.js'

const kvAt = (url) => {
  const ask = async (method, path, body) => {
    const answer = await fetch(`${url}/${path}`, { method, body })
    if (answer.status >= 500) throw new Error('KV failed, as it was told to')
    return answer
  }
  return {
    async get(key) {
      const answer = await ask('GET', key)
      return answer.status === 404 ? null : await answer.text()
    },
    async put(key, value, options) {
      await ask('PUT', `${key}?expiration_ttl=${options?.expirationTtl ?? ''}`, value)
    },
    async delete(key) {
      await ask('DELETE', key)
    },
  }
}

export default {
  fetch(request, env, context) {
    return Worker.fetch(request, { ...env, KV: kvAt(env.KV_URL) }, context)
  }
}
";

/// The Worker with objects that write to the log what they are called for and how many
/// rows they write. The Worker that is deployed has nothing of the kind.
const COUNTED: &str = r"
import Worker, * as built from './index.js'
export * from './index.js'
export default Worker

const counted = (name, Built) => class {
  constructor(ctx, env) {
    const { sql } = ctx.storage
    const { exec } = sql
    this.cursors = []
    sql.exec = (...given) => {
      const cursor = exec.apply(sql, given)
      this.cursors.push(cursor)
      return cursor
    }
    this.built = new Built(ctx, env)
  }
  told(call) {
    const rows = this.cursors.splice(0).reduce((sum, cursor) => sum + cursor.rowsWritten, 0)
    console.log(JSON.stringify({ log: 'object', name, call, rows }))
  }
  async fetch(request) {
    const call = new URL(request.url).pathname
    const answer = await this.built.fetch(request)
    this.told(call)
    return answer
  }
  async alarm() {
    await this.built.alarm()
    this.told('alarm')
  }
}
export const Mailbox = counted('Mailbox', built.Mailbox)
export const Registry = counted('Registry', built.Registry)
";

/// The Worker with Mailboxes that ask an HTTP server, before each call, what is to become
/// of it: they wait for its answer, and do as it says.
const FATED: &str = r"
import Worker, * as built from './index.js'
export * from './index.js'
export default Worker

export class Mailbox {
  constructor(ctx, env) {
    this.env = env
    const { sql } = ctx.storage
    const { exec } = sql
    const holds = (value) => ArrayBuffer.isView(value) && new TextDecoder().decode(value).includes(this.poison)
    sql.exec = (...given) => {
      if (this.poison && given.some(holds)) throw new Error('poison, as it was told')
      return exec.apply(sql, given)
    }
    this.built = new built.Mailbox(ctx, env)
  }
  async fetch(request) {
    const body = await request.arrayBuffer()
    const { pathname } = new URL(request.url)
    const told = await fetch(this.env.FATE_URL + pathname, { method: 'POST', body })
    const [fate, poison] = (await told.text()).split(' ')
    if (fate === 'throw') throw new Error('failed, as it was told')
    if (fate === 'fail') return new Response(null, { status: 500 })
    this.poison = poison
    const answer = await this.built.fetch(new Request(request.url, { method: 'POST', body }))
    this.poison = undefined
    if (fate === 'forget') throw new Error('done, and failed, as it was told')
    if (fate === 'babble') return new Response('no answer of a Mailbox')
    return answer
  }
  alarm() {
    return this.built.alarm()
  }
}
";

/// The Worker with Mailboxes that may make so many requests in a call, and as many in
/// each next one: as the platform lets them, and says it, on its Free plan.
const LIMITED: &str = r"
import Worker, * as built from './index.js'
export * from './index.js'
export default Worker

let left = 0
const { fetch } = globalThis
globalThis.fetch = async (...given) => {
  if (left === 0) throw new Error('Too many subrequests by single Worker invocation.')
  left -= 1
  return fetch(...given)
}

export class Mailbox {
  constructor(ctx, env) {
    this.most = Number(env.MOST_REQUESTS)
    this.built = new built.Mailbox(ctx, env)
  }
  fetch(request) {
    left = this.most
    return this.built.fetch(request)
  }
  alarm() {
    left = this.most
    return this.built.alarm()
  }
}
";

/// Leads each request to the isolate that its host names.
const FRONT: &str = r"
export default {
  fetch(request, env) {
    const { hostname } = new URL(request.url)
    return (hostname === env.TWIN_HOST ? env.TWIN : env.STATION).fetch(request)
  }
}
";

/// Lays out in `folder` the built Worker, copied so that a rebuild disturbs nobody,
/// with what stands around it. The configurations, that of the Worker which gets
/// the requests first.
pub(crate) fn lay_out(
    folder: &Path,
    variables: &BTreeMap<String, String>,
    surroundings: &Surroundings,
) -> io::Result<Vec<PathBuf>> {
    let configuration = surroundings.worker.configuration();
    let project = fs::read_to_string(&configuration)
        .map_err(|why| advise(&configuration, &why, "it is part of the project"))?;
    let mut station = without_build(&project)?;
    if !matches!(surroundings.kv, Kv::Local) {
        station.remove("kv_namespaces");
    }
    if let Some(assets) = station.get_mut("assets") {
        let folder = root().join(assets["directory"].as_str().unwrap_or_default());
        assets["directory"] = value(folder.display().to_string());
    }
    if let Kv::At(url) = &surroundings.kv {
        station["vars"]["KV_URL"] = value(url);
        station["main"] = value("with-kv.js");
    }
    if surroundings.counted {
        station["main"] = value("counted.js");
    }
    if let Some(url) = &surroundings.fate {
        station["vars"]["FATE_URL"] = value(url);
        station["main"] = value("fated.js");
    }
    if let Some(most) = surroundings.most_requests {
        station["vars"]["MOST_REQUESTS"] = value(most.to_string());
        station["main"] = value("limited.js");
    }
    let mut workers = Vec::new();
    if surroundings.twin {
        let name = station["name"].as_str().unwrap_or_default().to_owned();
        workers.push(lay_out_front(&folder.join("front"), &name)?);
        workers.push(lay_out_built(
            &folder.join("twin"),
            surroundings,
            &twin(&station, &name),
            variables,
        )?);
    }
    workers.push(lay_out_built(
        &folder.join("worker"),
        surroundings,
        &station,
        variables,
    )?);
    Ok(workers)
}

fn lay_out_built(
    folder: &Path,
    surroundings: &Surroundings,
    configuration: &DocumentMut,
    variables: &BTreeMap<String, String>,
) -> io::Result<PathBuf> {
    let worker = surroundings.worker;
    let build = worker.build();
    copy(&build, folder).map_err(|why| advise(&build, &why, worker.how_to_build()))?;
    fs::write(folder.join("with-kv.js"), WITH_KV)?;
    fs::write(folder.join("counted.js"), COUNTED)?;
    fs::write(folder.join("limited.js"), LIMITED)?;
    let built = if matches!(surroundings.kv, Kv::At(_)) {
        "./with-kv.js"
    } else {
        "./index.js"
    };
    fs::write(folder.join("fated.js"), FATED.replace("./index.js", built))?;
    // Not in the configuration: wrangler says aloud what stands there.
    let lines: String = variables
        .iter()
        .map(|(name, text)| format!("{name}='{text}'\n"))
        .collect();
    fs::write(folder.join(".dev.vars"), lines)?;
    configure(folder, configuration)
}

fn lay_out_front(folder: &Path, station: &str) -> io::Result<PathBuf> {
    let mut front = DocumentMut::new();
    front["name"] = value("front");
    front["main"] = value("index.js");
    front["compatibility_date"] = value("2026-11-01");
    let host = ("TWIN_HOST".into(), TWIN_HOST.into());
    set_variables(&mut front, &BTreeMap::from([host]));
    let services = [("STATION", station), ("TWIN", "twin")].map(|(binding, service)| {
        let mut table = Table::new();
        table["binding"] = value(binding);
        table["service"] = value(service);
        table
    });
    front["services"] = Item::ArrayOfTables(services.into_iter().collect());
    fs::create_dir_all(folder)?;
    fs::write(folder.join("index.js"), FRONT)?;
    configure(folder, &front)
}

fn configure(folder: &Path, configuration: &DocumentMut) -> io::Result<PathBuf> {
    let path = folder.join("wrangler.toml");
    fs::write(&path, configuration.to_string())?;
    Ok(path)
}

/// The same Worker once more, with the objects of the first.
fn twin(station: &DocumentMut, name: &str) -> DocumentMut {
    let mut twin = station.clone();
    twin["name"] = value("twin");
    twin.remove("migrations");
    let bindings = twin["durable_objects"]["bindings"].as_array_of_tables_mut();
    for binding in bindings.into_iter().flat_map(ArrayOfTables::iter_mut) {
        binding["script_name"] = value(name);
    }
    twin
}

fn set_variables(configuration: &mut DocumentMut, variables: &BTreeMap<String, String>) {
    let mut table = Table::new();
    for (name, text) in variables {
        table[name] = value(text);
    }
    configuration["vars"] = Item::Table(table);
}

/// The project's configuration, serving the copied Worker as it is. Everything
/// else, such as bindings and migrations, stays.
fn without_build(configuration: &str) -> io::Result<DocumentMut> {
    let mut configuration: DocumentMut = configuration.parse().map_err(io::Error::other)?;
    configuration.remove("build");
    configuration["main"] = value("index.js");
    configuration["no_bundle"] = value(true);
    let mut rule = Table::new();
    rule["type"] = value("ESModule");
    rule["globs"] = value(Array::from_iter(["**/*.js"]));
    let mut rules = ArrayOfTables::new();
    rules.push(rule);
    configuration["rules"] = Item::ArrayOfTables(rules);
    Ok(configuration)
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

/// The project's folder.
#[must_use]
pub fn root() -> &'static Path {
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
        let before: DocumentMut = project.parse().unwrap();
        let after = without_build(&project).unwrap();
        assert!(!after.contains_key("build"));
        assert_eq!(after["main"].as_str(), Some("index.js"));
        for (key, item) in before.iter() {
            if !["build", "main"].contains(&key) {
                assert_eq!(after[key].to_string(), item.to_string(), "{key}");
            }
        }
    }
}
