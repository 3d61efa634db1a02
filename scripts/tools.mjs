// Finds what the build needs and installs what is missing, at the versions that
// the project pins: the Rust toolchain with its wasm target, the npm packages,
// and two programs compiled from crates.io. Afterwards a build needs no network.
// Run alone (`node scripts/tools.mjs`), it only prepares.

import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { Advice, ROOT, capture, main, run, say, which } from './process.mjs'

const WORKER_BUILD = '0.8.7'
const CARGO_FUZZ = '0.13.2'
const WASM_TARGET = 'wasm32-unknown-unknown'
/** Wrangler itself is content with 22.12; scripts/state-lock.mjs needs SQLite in Node.js. */
const WRANGLER_NEEDS = [22, 13]
const EXE = process.platform === 'win32' ? '.exe' : ''

/** Where what is installed once for all projects lies. */
export const CACHE = path.join(process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache'), 'tram')
/** Where the programs are compiled: big, and of no use afterwards. */
const SCRAP = path.join(CACHE, 'tools-target')
const MODULES = path.join(ROOT, 'node_modules')

/**
 * Everything found: paths of the programs, and the environment for all commands.
 * Quick (about a tenth of a second) when nothing is missing.
 */
export async function ensureTools() {
  checkNode()
  const env = checkRust()
  checkCompiler(env)
  await ensureToolchain(env)
  await ensurePackages()
  const node = wranglerNode()
  const workerBuild = await ensureCompiled('worker-build', WORKER_BUILD, 'worker-build', env)
  const wasmBindgen = await ensureCompiled('wasm-bindgen-cli', lockedVersion('wasm-bindgen'), 'wasm-bindgen', env)
  rmSync(SCRAP, { recursive: true, force: true })
  return {
    env: {
      ...env,
      // worker-build downloads its own copies unless these name executables.
      WASM_BINDGEN_BIN: wasmBindgen,
      WASM_OPT_BIN: packageProgram('wasm-opt'),
      ESBUILD_BIN: packageProgram('esbuild'),
      // Quiet, and without calls that the work does not need.
      WRANGLER_SEND_METRICS: 'false',
      WRANGLER_SEND_ERROR_REPORTS: 'false',
      CLOUDFLARE_CF_FETCH_ENABLED: 'false',
    },
    cargo: which('cargo', env.PATH),
    node,
    workerBuild,
    wrangler: path.join(MODULES, 'wrangler', 'bin', 'wrangler.js'),
  }
}

/** cargo-fuzz, which `npm run fuzz` alone needs. */
export async function ensureFuzzer(env) {
  if (process.platform === 'win32') throw new Advice('cargo-fuzz runs on Linux and macOS alone')
  if (!which('c++', env.PATH)) throw new Advice('a C++ compiler is missing (no `c++` on PATH; libFuzzer is compiled with it): install one, for example `apt install g++`')
  return ensureAlone('cargo-fuzz', CARGO_FUZZ, env)
}

/** A program from crates.io that not every start needs, compiled in a folder of its own: SCRAP goes with whoever starts meanwhile. */
export async function ensureAlone(crate, version, env) {
  const scrap = path.join(CACHE, `${crate}-target`)
  const program = await ensureCompiled(crate, version, crate, env, scrap)
  rmSync(scrap, { recursive: true, force: true })
  return program
}

function checkNode() {
  const [major] = process.versions.node.split('.').map(Number)
  if (major < 20) throw new Advice(`Node.js ${process.versions.node} is too old: install Node.js 20 or newer from https://nodejs.org`)
  if (!which('npm')) throw new Advice('npm is missing: install Node.js with npm from https://nodejs.org')
}

/** The environment in which `cargo` is rustup's, at the pinned toolchain. */
function checkRust() {
  const home = process.env.CARGO_HOME || path.join(os.homedir(), '.cargo')
  // A shell opened before rustup was installed does not know its folder yet.
  const searchPath = [process.env.PATH, path.join(home, 'bin')].filter(Boolean).join(path.delimiter)
  const rustup = which('rustup', searchPath)
  if (!rustup) {
    const found = which('cargo', searchPath) ? 'rustup is missing (a cargo without it cannot fetch the wasm target)' : 'Rust is missing'
    throw new Advice(`${found}: install rustup from https://rustup.rs`)
  }
  const env = { ...process.env, PATH: [path.dirname(rustup), searchPath].join(path.delimiter), RUSTUP_TOOLCHAIN: pinnedToolchain() }
  if (!which('cargo', env.PATH)) throw new Advice('cargo is missing beside rustup: install rustup again from https://rustup.rs')
  return env
}

function checkCompiler(env) {
  if (process.platform === 'win32' || which('cc', env.PATH)) return
  const how = process.platform === 'darwin' ? 'xcode-select --install' : 'for example `apt install build-essential` or `dnf install gcc`'
  throw new Advice(`a C compiler is missing (no \`cc\` on PATH; Rust links with it): install one, ${how}`)
}

function pinnedToolchain() {
  const channel = /^channel\s*=\s*"([^"]+)"/m.exec(readFileSync(path.join(ROOT, 'rust-toolchain.toml'), 'utf8'))
  if (!channel) throw new Advice('rust-toolchain.toml names no channel')
  return channel[1]
}

/** A toolchain file alone fetches nothing where RUSTUP_AUTO_INSTALL=0. */
async function ensureToolchain(env) {
  const channel = env.RUSTUP_TOOLCHAIN
  const { status, stdout } = capture('rustup', ['component', 'list', '--installed', '--toolchain', channel], { env })
  const has = (name) => new RegExp(`^${name}(-|$)`, 'm').test(stdout)
  if (status === 0 && has(`rust-std-${WASM_TARGET}`) && ['cargo', 'rustc', 'clippy', 'rustfmt'].every(has)) return
  say(`Installing Rust ${channel} with the ${WASM_TARGET} target …`)
  const words = ['toolchain', 'install', channel, '--no-self-update', '--profile', 'minimal', '-c', 'clippy', '-c', 'rustfmt', '-t', WASM_TARGET]
  await download('the Rust toolchain', 'static.rust-lang.org, or where RUSTUP_DIST_SERVER says', () => run('rustup', words, { env, toStderr: true }))
}

async function ensurePackages() {
  const stamp = path.join(MODULES, '.tram-installed')
  const wanted = packagesHash()
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return
  say('Installing npm packages …')
  // That wrangler wants a newer Node.js is met below.
  await npm('install', ROOT)
  writeFileSync(stamp, wanted)
}

/**
 * `npm ci`, or `npm install` of what a lock says, in this folder. The lock stays as it is:
 * `--no-save` is what keeps `npm install` from writing it anew, in the manner of whichever
 * npm there is.
 */
export async function npm(command, folder) {
  const program = which('npm')
  const registry = capture(program, ['config', 'get', 'registry'], { cwd: folder }).stdout.trim()
  // npm alone tries for more than a minute before it admits that there is no network.
  const patience = ['--fetch-retry-mintimeout=500', '--fetch-retry-maxtimeout=3000']
  const words = [command, ...(command === 'install' ? ['--no-save'] : []), '--no-audit', '--no-fund', '--loglevel=error', ...patience]
  await download('the npm packages', registry, () => run(program, words, { cwd: folder, toStderr: true }))
}

/**
 * Runs what downloads something. Nobody is asked beforehand whether he can be reached: only
 * the installer knows which registry, mirror or proxy this machine is told to use.
 */
export async function download(what, from, install) {
  try {
    await install()
  } catch (error) {
    if (!(error instanceof Advice)) throw error
    const how = 'connect this machine, or set HTTPS_PROXY, and start again'
    throw new Advice(`${what} could not be installed; the reason stands above. They are downloaded once, from ${from}: if it cannot be reached, ${how}`)
  }
}

function packagesHash() {
  const hash = createHash('sha256')
  for (const name of ['package.json', 'package-lock.json']) {
    const file = path.join(ROOT, name)
    hash.update(`${name}\0`).update(existsSync(file) ? readFileSync(file) : '').update('\0')
  }
  return hash.digest('hex')
}

/** Wrangler wants a newer Node.js than these scripts: npm's `node` package brings one. */
function wranglerNode() {
  const candidates = [path.join(MODULES, 'node', 'bin', `node${EXE}`), process.execPath]
  for (const candidate of candidates) {
    const { status, stdout } = capture(candidate, ['--version'])
    const [major, minor] = stdout.replace('v', '').split('.').map(Number)
    const [needMajor, needMinor] = WRANGLER_NEEDS
    if (status === 0 && (major > needMajor || (major === needMajor && minor >= needMinor))) return candidate
  }
  throw new Advice(
    `Node.js ${WRANGLER_NEEDS.join('.')} for wrangler did not arrive in node_modules (npm skipped its install script): run \`npm rebuild node --ignore-scripts=false\`, or install Node.js 22`,
  )
}

function packageProgram(name) {
  const file = path.join(MODULES, '.bin', name + (process.platform === 'win32' ? '.cmd' : ''))
  const { status } = capture(file, ['--version'])
  if (status !== 0) throw new Advice(`${name} in node_modules does not run: remove node_modules and start again`)
  return file
}

/** The version of a crate in Cargo.lock. */
function lockedVersion(crate) {
  const lock = readFileSync(path.join(ROOT, 'Cargo.lock'), 'utf8')
  const entry = new RegExp(`^name = "${crate}"\\r?\\nversion = "([^"]+)"`, 'm').exec(lock)
  if (!entry) throw new Advice(`Cargo.lock names no ${crate}: restore it from version control`)
  return entry[1]
}

/** A program from crates.io, compiled once per version and kept outside the project. */
async function ensureCompiled(crate, version, program, env, scrap = SCRAP) {
  const folder = path.join(CACHE, 'tools')
  const finished = path.join(folder, `${crate}-${version}`)
  const executable = path.join(finished, 'bin', program + EXE)
  if (existsSync(executable)) return executable
  say(`Compiling ${crate} ${version} (once, some minutes) …`)
  // Into a folder of its own, then renamed: an interrupted install never looks whole.
  const fresh = path.join(folder, `.${crate}-${version}-${randomBytes(4).toString('hex')}`)
  mkdirSync(fresh, { recursive: true })
  try {
    const words = ['install', '--locked', ...(process.stderr.isTTY ? [] : ['--quiet']), '--root', fresh, '--version', version, '--bin', program, crate]
    // The two programs share dependencies and run for seconds: fast to compile beats fast to run.
    const compiling = { ...env, CARGO_TARGET_DIR: scrap, CARGO_PROFILE_RELEASE_OPT_LEVEL: '1', CARGO_PROFILE_RELEASE_LTO: 'off' }
    const from = 'crates.io, or the source that takes its place in the configuration of cargo'
    await download(`${crate} and its crates`, from, () => run('cargo', words, { toStderr: true, env: compiling }))
    rmSync(finished, { recursive: true, force: true })
    renameSync(fresh, finished)
  } catch (error) {
    // Another start may have been faster.
    if (!existsSync(executable)) throw error
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
  return executable
}

await main(import.meta.url, async () => {
  const { node, env } = await ensureTools()
  say(`Ready: Rust ${env.RUSTUP_TOOLCHAIN}, Node.js for wrangler ${capture(node, ['--version']).stdout.trim()}, tools in ${CACHE}`)
})
