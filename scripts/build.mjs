// Builds the Worker into build/: index.js and index_bg.wasm, optimised and
// stripped. It is what wrangler's [build] command runs, also again and again
// while developing, so it does nothing when nothing has changed.

import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import { ROOT, main, run, say, seconds } from './process.mjs'
import { ensureTools } from './tools.mjs'

const OUTPUTS = ['build/index.js', 'build/index_bg.wasm']
const STAMP = path.join(ROOT, 'build', 'stamp.json')
/** Where worker-build leaves its files; what is served is moved out of it whole. */
const RAW = 'target/worker-build'

/** What decides the build beside the sources that the compiler itself names. */
const SETTINGS = ['Cargo.toml', 'Cargo.lock', 'core/Cargo.toml', 'rust-toolchain.toml', 'package-lock.json', 'scripts/build.mjs', 'scripts/tools.mjs']

/** Custom sections that only debuggers and tools read. */
const IDLE_SECTIONS = /^(name|producers|target_features|\.debug_.*)$/

/** Builds when something has changed. Returns whether it did. */
export async function build(tools) {
  if (isFresh()) return false
  const { env, workerBuild } = tools ?? (await ensureTools())
  const start = Date.now()
  await run(workerBuild, ['--release', '--out-dir', RAW], { env, toStderr: true })
  const script = readFileSync(path.join(ROOT, RAW, 'index.js'))
  const wasm = stripSections(readFileSync(path.join(ROOT, RAW, 'index_bg.wasm')))
  mkdirSync(path.join(ROOT, 'build'), { recursive: true })
  rmSync(STAMP, { force: true })
  replace('build/index_bg.wasm', wasm)
  replace('build/index.js', script)
  const inputs = [...SETTINGS, ...compiledSources(env)]
  // What was edited while the compiler ran may or may not be in: build again next time.
  if (!inputs.some((file) => changedSince(file, start))) {
    writeFileSync(STAMP, JSON.stringify({ inputs: hashes(inputs), outputs: hashes(OUTPUTS) }, null, 1))
  }
  say(`Built in ${seconds(Date.now() - start)}: ${size('wasm', wasm)}; ${size('script', script)}`)
  return true
}

function isFresh() {
  try {
    const { inputs, outputs } = JSON.parse(readFileSync(STAMP, 'utf8'))
    const recorded = { ...inputs, ...outputs }
    const now = hashes(Object.keys(recorded))
    return Object.keys(recorded).every((file) => recorded[file] === now[file])
  } catch {
    return false
  }
}

/** Cargo's own list of the files that went into the wasm, `include_str!` included. */
function compiledSources(env) {
  const list = path.resolve(ROOT, env.CARGO_TARGET_DIR || 'target', 'wasm32-unknown-unknown/release/tram.d')
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

await main(import.meta.url, () => build())
