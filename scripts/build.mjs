// Builds a Worker into its build/: index.js and index_bg.wasm, optimised and
// stripped. It is what wrangler's [build] command runs, also again and again
// while developing, so it does nothing when nothing has changed.
//
//   npm run build                        the Worker that is deployed
//   npm run build -- tests/sql-suite     the one that runs the core's SQL suite

import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import { Advice, ROOT, main, run, say, seconds } from './process.mjs'
import { ensureTools } from './tools.mjs'

/** What decides a build beside the sources that the compiler itself names. */
const SETTINGS = ['.cargo/config.toml', 'Cargo.toml', 'Cargo.lock', 'core/Cargo.toml', 'rust-toolchain.toml', 'package-lock.json', 'scripts/build.mjs', 'scripts/tools.mjs']

/** The Workers of this project. */
export const TRAM = { folder: '.', crate: 'tram', settings: [...SETTINGS, 'src/entry.js'], entry: 'src/entry.js' }
export const SQL_SUITE = { folder: 'tests/sql-suite', crate: 'tram_sql_suite', settings: [...SETTINGS, 'tests/sql-suite/Cargo.toml'] }

/** Custom sections that only debuggers and tools read. */
const IDLE_SECTIONS = /^(name|producers|target_features|\.debug_.*)$/

/** Builds when something has changed. Returns whether it did. */
export async function build(tools, worker = TRAM) {
  const folder = path.join(worker.folder, 'build')
  const outputs = { script: path.join(folder, 'index.js'), wasm: path.join(folder, 'index_bg.wasm') }
  const stamp = path.join(ROOT, folder, 'stamp.json')
  if (isFresh(stamp)) return false
  const { env, workerBuild } = tools ?? (await ensureTools())
  const start = Date.now()
  // Where worker-build leaves its files; what is served is moved out of it whole.
  const raw = path.join('target', 'worker-build', worker.crate)
  await run(workerBuild, [worker.folder, '--release', '--out-dir', path.relative(worker.folder, raw)], { env: { ...env, NO_MINIFY: '1' }, toStderr: true })
  const script = await bundled(worker, path.join(ROOT, raw), env)
  const wasm = stripSections(readFileSync(path.join(ROOT, raw, 'index_bg.wasm')))
  mkdirSync(path.join(ROOT, folder), { recursive: true })
  rmSync(stamp, { force: true })
  replace(outputs.wasm, wasm)
  replace(outputs.script, script)
  const inputs = [...worker.settings, ...compiledSources(env, worker.crate)]
  // What was edited while the compiler ran may or may not be in: build again next time.
  if (!inputs.some((file) => changedSince(file, start))) {
    writeFileSync(stamp, JSON.stringify({ inputs: hashes(inputs), outputs: hashes(Object.values(outputs)) }, null, 1))
  }
  say(`Built ${folder} in ${seconds(Date.now() - start)}: ${size('wasm', wasm)}; ${size('script', script)}`)
  return true
}

function isFresh(stamp) {
  try {
    const { inputs, outputs } = JSON.parse(readFileSync(stamp, 'utf8'))
    const recorded = { ...inputs, ...outputs }
    const now = hashes(Object.keys(recorded))
    return Object.keys(recorded).every((file) => recorded[file] === now[file])
  } catch {
    return false
  }
}

/** Cargo's own list of the files that went into the wasm, `include_str!` included. */
function compiledSources(env, crate) {
  const list = path.resolve(ROOT, env.CARGO_TARGET_DIR || 'target', 'wasm32-unknown-unknown/release', `${crate}.d`)
  const files = readFileSync(list, 'utf8').replace(/^.*?: /s, '').trim().split(/(?<!\\)\s+/)
  return files.map((file) => path.relative(ROOT, file.replaceAll('\\ ', ' ')))
}

function changedSince(file, time) {
  return existsSync(path.join(ROOT, file)) && statSync(path.join(ROOT, file)).mtimeMs >= time
}

function hashes(files) {
  const hash = (file) => createHash('sha256').update(readFileSync(path.join(ROOT, file))).digest('hex')
  return Object.fromEntries(files.map((file) => [file, existsSync(path.join(ROOT, file)) ? hash(file) : 'absent']))
}

/** A reader sees the old file or the new one, never half of one. */
function replace(file, bytes) {
  const fresh = path.join(ROOT, `${file}.new`)
  writeFileSync(fresh, bytes)
  renameSync(fresh, path.join(ROOT, file))
}

/** The script as it is served: the entry, where the Worker has one of its own, and what is reached from there. */
async function bundled({ entry }, raw, env) {
  const made = path.join(raw, 'lighter.js')
  writeFileSync(made, lighter(readFileSync(path.join(raw, 'index.js'), 'utf8'), entry))
  const outfile = path.join(raw, 'bundled.js')
  const from = entry ? [path.join(ROOT, entry), `--alias:station=${made}`] : [made]
  await run(env.ESBUILD_BIN, [...from, '--bundle', '--minify', '--format=esm', '--external:*.wasm', '--external:cloudflare:*', '--log-level=warning', `--outfile=${outfile}`], { env, toStderr: true })
  return readFileSync(outfile)
}

/** What worker-build has written, with less in it. Anything that it writes otherwise some day is an error here. */
function lighter(script, entry) {
  const change = (pattern, change, times = 1) => {
    const found = [...script.matchAll(pattern)]
    if (times ? found.length !== times : found.length === 0) throw new Error(`index.js has ${pattern} ${found.length} times: see lighter() in scripts/build.mjs`)
    script = script.replace(pattern, change)
    return found
  }
  // Promises of its own for the microtasks of Rust's futures, several for each event: in
  // workerd \`queueMicrotask\` goes through C++, and what it runs too. What one throws is
  // thrown where the SDK listens for it.
  change(
    /function\((\w+)\) \{\s*queueMicrotask\(\1\);\s*\}/g,
    'function($1) { atOnce.then(() => { try { $1() } catch (e) { queueMicrotask(() => { throw e }) } }) }',
  )
  script = `const atOnce = Promise.resolve();\n${script}`
  if (!entry) return script
  // Classes of the SDK that nobody makes, and what would keep them.
  change(/: new FinalizationRegistry\(/g, ': /* @__PURE__ */ new FinalizationRegistry(', 0)
  change(/^if \(Symbol\.dispose\) .*$/gm, '', 0)
  // The events and the objects are the entry's.
  const [[, fetch]] = change(/^Entrypoint\.prototype\.fetch = function \w+\(arg\) \{\s*return (\w+)\.call\([^]*?^\};/gm, '')
  const [[, scheduled]] = change(/^Entrypoint\.prototype\.scheduled = function \w+\(arg\) \{\s*return (\w+)\.call\([^]*?^\};/gm, '')
  change(/^Entrypoint\.prototype\.\w+ = \w+;$/gm, '', 0)
  change(/^var \w+ = new Proxy\(\w+, classProxyHooks\);$/gm, '', 0)
  // Whatever ends the instance has the entry make the next, before anything is put into its
  // memory, and not the call in which that is found out.
  change(/(^function __wbg_handle_catch\(e\) \{[^]*?)(\n  throw e;\n\})/gm, '$1\n  initState.criticalError = true;$2')
  change(/^export \{[^]*?^\};/gm, `export { Mailbox, Registry, ${fetch} as fetch, ${scheduled} as scheduled, ahead, readFor, checkReinitialize, handleMaybeCritical, initState };`)
  return script
}

/**
 * The module without its idle custom sections. worker-build makes wasm-opt keep
 * the function names, a quarter of the file; Cargo's `strip` would come too
 * early, as wasm-bindgen reads its own sections from the compiler's output.
 */
function stripSections(wasm) {
  const kept = [wasm.subarray(0, 8)]
  let offset = 8
  while (offset < wasm.length) {
    const size = unsigned(wasm, offset + 1)
    const end = size.next + size.value
    const name = wasm[offset] === 0 ? customName(wasm, size.next) : ''
    if (!IDLE_SECTIONS.test(name)) kept.push(wasm.subarray(offset, end))
    offset = end
  }
  return Buffer.concat(kept)
}

function customName(wasm, offset) {
  const length = unsigned(wasm, offset)
  return wasm.toString('utf8', length.next, length.next + length.value)
}

/** Reads an unsigned LEB128 number. */
function unsigned(bytes, offset) {
  let value = 0
  for (let factor = 1, next = offset; ; factor *= 128) {
    const byte = bytes[next++]
    if (byte === undefined) throw new Error('index_bg.wasm ends in the middle of a number')
    value += (byte & 127) * factor
    if (byte < 128) return { value, next }
  }
}

function size(what, bytes) {
  const kib = (count) => `${(count / 1024).toFixed(1)} KiB`
  return `${what} ${kib(bytes.length)} (${kib(gzipSync(bytes, { level: 9 }).length)} gzip)`
}

/** The Worker in this folder. */
function workerIn(folder) {
  const wanted = path.resolve(folder ?? ROOT)
  const found = [TRAM, SQL_SUITE].find((worker) => path.join(ROOT, worker.folder) === wanted)
  if (!found) throw new Advice(`there is no Worker in ${folder}: leave it out, or name ${SQL_SUITE.folder}`)
  return found
}

await main(import.meta.url, () => build(undefined, workerIn(process.argv[2])))
