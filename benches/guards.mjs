// What `npm test` holds to the bounds in bounds.json, and no machine decides:
// counts per event, the size of what is deployed, and instructions of the core's
// hot paths where valgrind is installed. A figure that is more than 5 % above its
// bound fails.
//
//   node benches/guards.mjs              checks
//   node benches/guards.mjs --figures    prints what is measured, as bounds.json has it

import { readFileSync } from 'node:fs'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import { ROOT, capture, main, run, which } from '../scripts/process.mjs'
import { ensureTools } from '../scripts/tools.mjs'
import { COLUMNS, agree, stale } from './costs.mjs'
import { measureAll } from './meter.mjs'
import * as scale from './scale.mjs'

const TOLERANCE = 0.05
/** A path is run so often, and so many times more; the difference is its own. */
const TIMES = [5, 55]

/** Whether a figure is within its bound. */
export const within = (figure, bound) => figure <= bound * (1 + TOLERANCE)

/** Wasm and script as they travel, in KiB. */
export function sizeKib() {
  const files = ['index_bg.wasm', 'index.js'].map((name) => readFileSync(path.join(ROOT, 'build', name)))
  return files.reduce((all, bytes) => all + gzipSync(bytes, { level: 9 }).length / 1024, 0)
}

/** Instructions of each hot path, or null where valgrind is absent. */
export async function instructions({ cargo, env }) {
  if (!which('valgrind', env.PATH ?? process.env.PATH)) return null
  await run(cargo, ['build', '--quiet', '--profile', 'simulation', '-p', 'tram-instructions'], { env, toStderr: true })
  const program = path.resolve(ROOT, env.CARGO_TARGET_DIR || 'target', 'simulation/tram-instructions')
  const count = (name, times) => {
    const { status, stderr } = capture('valgrind', ['--tool=callgrind', '--callgrind-out-file=/dev/null', program, name, String(times)])
    const collected = /Collected : (\d+)/.exec(stderr)
    if (status !== 0 || !collected) throw new Error(`callgrind failed at "${name}": ${stderr.slice(-400)}`)
    return Number(collected[1])
  }
  const names = capture(program, []).stdout.trim().split('\n')
  const [few, many] = TIMES
  return Object.fromEntries(names.map((name) => [name, Math.round((count(name, many) - count(name, few)) / (many - few))]))
}

/** What is measured, in the shape of bounds.json. */
async function figures(tools) {
  const all = await measureAll()
  const perEvent = Object.fromEntries(
    Object.entries(all).map(([key, counts]) => [key, Object.fromEntries(COLUMNS.map(([, name, count]) => [name, Math.round(count(counts) * 1000) / 1000]))]),
  )
  return { all, per_event: perEvent, size_kib: Math.round(sizeKib() * 10) / 10, instructions: await instructions(tools) }
}

/**
 * Every figure beside its bound, as `[what, figure, bound]`. A figure without a bound is
 * one of 0; a bound without a figure stands there too, beside `undefined`, which is within
 * nothing. Instructions alone may be left out, as a whole.
 */
function pairs({ per_event, size_kib, instructions }, bounds) {
  const found = []
  const walk = (name, one, other) => {
    if (typeof one === 'number' || typeof other === 'number') found.push([name, one, typeof other === 'number' ? other : 0])
    else for (const key of Object.keys({ ...other, ...one })) walk(name ? `${name}: ${key}` : key, one?.[key], other?.[key])
  }
  walk('', { per_event, size_kib, instructions }, instructions === null ? { ...bounds, instructions } : bounds)
  return found
}

/** Whether the guards themselves guard: what is 5 % over is let through, and nothing more. */
export function sound() {
  const beyond = (measured, bounds) => pairs(measured, bounds).filter(([, figure, bound]) => !within(figure, bound)).map(([what]) => what).join()
  const all = { per_event: { alone: { rows: 5, objects: 3 } }, size_kib: 1, instructions: { path: 9 } }
  const { alone } = all.per_event
  return (
    within(104.9, 100) && !within(105.1, 100) && !within(0.001, 0) && !within(undefined, 1) && !within(NaN, 1) &&
    agree('3.01 a', '3.02 a') && !agree('3.01 a', '3.2 a') && !agree('1 a', '1 b') &&
    beyond(all, all) === '' &&
    // A figure without a bound, and bounds whose figures are there no more.
    beyond({ ...all, per_event: { alone, other: { rows: 1 } } }, all) === 'per_event: other: rows' &&
    beyond({ ...all, per_event: { alone: { rows: 5 } } }, all) === 'per_event: alone: objects' &&
    beyond({ ...all, per_event: {} }, all) === 'per_event: alone: rows,per_event: alone: objects' &&
    beyond({ ...all, size_kib: undefined }, all) === 'size_kib' &&
    beyond({ ...all, instructions: {} }, all) === 'instructions: path' &&
    // Where valgrind is absent.
    beyond({ ...all, instructions: null }, all) === ''
  )
}

/** Runs them all; prints one line each, and says how many passed and failed. */
export async function guard(tools, tell = console.log) {
  const bounds = JSON.parse(readFileSync(path.join(ROOT, 'benches/bounds.json'), 'utf8'))
  const measured = await figures(tools)
  const sum = { passed: 0, failed: 0 }
  const check = (what, why) => {
    sum[why ? 'failed' : 'passed'] += 1
    if (why) tell(`guard ${what} ... FAILED: ${why}`)
  }
  check('of the guards', sound() ? null : 'they would let anything pass')
  for (const [what, figure, bound] of pairs(measured, bounds)) {
    check(what, within(figure, bound) ? null : `${figure ?? 'nothing was measured'} instead of at most ${bound} (and 5 %)`)
  }
  check('README.md', stale(measured.all))
  check('docs/scale.md', scale.stale(measured.all))
  check('the stations of docs/scale.md', scale.impossible(measured.all)[0] ?? null)
  if (!measured.instructions) tell('guard of instructions: left out, valgrind is not installed')
  tell(`guards: ${sum.passed} passed, ${sum.failed} failed`)
  return sum
}

await main(import.meta.url, async () => {
  const tools = await ensureTools()
  if (process.argv.includes('--figures')) {
    const { per_event, size_kib, instructions } = await figures(tools)
    process.stdout.write(`${JSON.stringify({ per_event, size_kib, instructions }, null, 2)}\n`)
  } else if ((await guard(tools)).failed > 0) {
    process.exitCode = 1
  }
})
