// A running Trạm: `wrangler dev` started, awaited and stopped. `npm start` and
// `npm run demo` stand on it. By hand, for a station with throw-away state:
//
//   node scripts/station.mjs [--port N] [--persist-to DIR] [NAME=value …]
//
// prints one line of JSON, {"url","persist","pid"}, when it is ready, and runs
// until SIGTERM or SIGINT.

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import util from 'node:util'
import { build } from './build.mjs'
import { Advice, ROOT, freePort, main, sleep } from './process.mjs'
import { IN_USE, VARIABLE } from './state-lock.mjs'
import './tether.mjs'
import { ensureTools } from './tools.mjs'

/** What wrangler's processes load before its own code. SQLite in Node.js says that it is an experiment. */
const BEFORE = ['--disable-warning=ExperimentalWarning', ...['tether.mjs', 'state-lock.mjs'].flatMap((name) => ['--import', new URL(name, import.meta.url).href])]

/** Where a station's state lies, unless it is told another place. */
export const STATE = path.join(ROOT, '.wrangler', 'state')

/** Starts `wrangler dev` with these arguments on this folder of state; see `stopWrangler`. */
export function spawnWrangler({ env, node, wrangler }, args, { state, stdio, extraEnv = {} }) {
  const quiet = ['--inspector-port', '0', '--show-interactive-dev-session=false']
  const words = [...BEFORE, wrangler, 'dev', ...quiet, '--persist-to', state, ...args]
  return spawn(node, words, { cwd: ROOT, env: { ...env, [VARIABLE]: state, ...extraEnv }, stdio })
}

/** Asks wrangler to end, and insists after some seconds. */
export async function stopWrangler(child) {
  if (ended(child)) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  const insist = setTimeout(() => child.kill('SIGKILL'), 8000)
  await gone
  clearTimeout(insist)
}

/** Waits until the station answers, whatever it says. */
export async function awaitStation(url, child, { signal, milliseconds = 60_000 } = {}) {
  const limit = Date.now() + milliseconds
  while (Date.now() < limit) {
    if (signal?.aborted) throw new Advice('interrupted')
    if (child.exitCode === IN_USE) throw new Advice(IN_USE_ADVICE)
    if (ended(child)) throw new Advice('wrangler ended before the station answered; see above')
    // To the end of the body: one that is cut off on a busy machine is no answer yet.
    const answered = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(2000) })
      .then((answer) => answer.arrayBuffer())
      .catch(() => null)
    if (answered) return
    await sleep(100)
  }
  throw new Advice(`the station did not answer at ${url} within ${milliseconds / 1000} s`)
}

const IN_USE_ADVICE =
  'another station runs on this state, and two on one would send everything twice: stop that one (or the workerd that it left behind), or give this one a folder and a port of its own: npm start -- --persist-to .wrangler/second --port 8788'

const ended = (child) => child.exitCode !== null || child.signalCode !== null

/**
 * A station on a port of its own with these variables instead of `.dev.vars`.
 * Without `persist`, its state goes when it stops. `log()` is what wrangler wrote.
 * An aborted `signal` ends the waiting, not a station that is ready.
 */
export async function startStation({ vars = {}, port, persist, signal } = {}) {
  const found = await ensureTools()
  await build(found)
  const folder = mkdtempSync(path.join(os.tmpdir(), 'tram-'))
  const state = persist ?? path.join(folder, 'state')
  const envFile = path.join(folder, 'vars.env')
  writeFileSync(envFile, Object.entries(vars).map(envLine).join(''), { mode: 0o600 })
  const listen = String(port ?? (await freePort()))
  const url = `http://127.0.0.1:${listen}`
  const args = ['--ip', '127.0.0.1', '--port', listen, '--env-file', envFile]
  const child = spawnWrangler(found, args, {
    state: path.resolve(ROOT, state),
    stdio: ['ignore', 'pipe', 'pipe'],
    // Unknown to the other stations of this machine, and without log files.
    extraEnv: { WRANGLER_REGISTRY_PATH: path.join(folder, 'registry'), WRANGLER_WRITE_LOGS: 'false' },
  })
  let log = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (log = (log + text).slice(-200_000)))
  const stop = async () => {
    await stopWrangler(child)
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  }
  try {
    await awaitStation(url, child, { signal })
  } catch (error) {
    await stop()
    if (signal?.aborted) throw error
    throw new Advice(`${log.trim().split('\n').slice(-30).join('\n')}\ntram: ${error.message}`)
  }
  return { url, persist: state, child, log: () => log, stop }
}

/** One line of an env file; it knows no escapes, only kinds of quotes. */
function envLine([name, value]) {
  const quote = [`'`, '"', '`'].find((mark) => !String(value).includes(mark))
  if (!/^\w+$/.test(name) || !quote) throw new Advice(`a variable cannot be written to an env file: ${name}`)
  return `${name}=${quote}${value}${quote}\n`
}

/** Aborted by the first wish to stop; from then on the program itself has to end. */
export function stopSignal() {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => controller.abort())
  return controller.signal
}

await main(import.meta.url, async () => {
  const { values, positionals } = util.parseArgs({
    options: { port: { type: 'string' }, 'persist-to': { type: 'string' } },
    allowPositionals: true,
  })
  const vars = Object.fromEntries(positionals.map((text) => text.split(/=(.*)/s).slice(0, 2)))
  const signal = stopSignal()
  const station = await startStation({ vars, port: values.port, persist: values['persist-to'], signal })
  process.stdout.write(`${JSON.stringify({ url: station.url, persist: station.persist, pid: process.pid })}\n`)
  await new Promise((resolve) => {
    station.child.once('exit', resolve)
    if (signal.aborted) resolve()
    signal.addEventListener('abort', resolve)
  })
  await station.stop()
})
