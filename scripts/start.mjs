// `npm start`: from a fresh clone to a station that answers. Installs, builds,
// makes up a management token on the first start, and serves on
// http://localhost:8787 with local state in .wrangler/state, until Ctrl-C.
//
//   npm start
//   npm start -- --port 9000                  on another port
//   npm start -- --persist-to DIR             with other state
//   npm start -- --var NAME:value             with a variable, which beats .dev.vars
//
// Arguments after `--` go to `wrangler dev`: `npx wrangler dev --help` names them all.

import { randomBytes } from 'node:crypto'
import { existsSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { build } from './build.mjs'
import { Advice, ROOT, connects, freePort, main, say, seconds } from './process.mjs'
import { STATE, awaitStation, spawnWrangler, stopSignal, stopWrangler } from './station.mjs'
import { ensureTools } from './tools.mjs'

const DEV_VARS = path.join(ROOT, '.dev.vars')

async function start(args) {
  const begun = Date.now()
  const tools = await ensureTools()
  await build(tools)
  const wroteVars = writeDevVars()
  const port = await choosePort(args)
  const url = addressOf(args, port)
  const state = path.resolve(ROOT, option(args, '--persist-to') ?? STATE)
  const rest = without(without(args, '--port'), '--persist-to')
  const child = spawnWrangler(tools, [...rest, '--port', port], { state, stdio: ['ignore', 'inherit', 'inherit'] })

  // Ctrl-C reaches wrangler too; either way wait until it has ended everything.
  const signal = stopSignal()
  signal.addEventListener('abort', () => void stopWrangler(child))
  const exit = new Promise((resolve) => child.once('exit', resolve))
  try {
    await awaitStation(url, child, { signal })
  } catch (error) {
    await stopWrangler(child)
    if (signal.aborted) return
    throw error
  }
  say(welcome({ url, args, wroteVars, took: Date.now() - begun }))
  const status = await exit
  if (!signal.aborted && status !== 0) throw new Advice(`wrangler ended with status ${status}; see above`)
}

/** The token is made up here, so that a local station is never open to guesses. */
function writeDevVars() {
  if (existsSync(DEV_VARS)) return false
  const lines = [
    '# Local variables, for `npm start` alone: never committed, never deployed.',
    `ADMIN_TOKEN=${randomBytes(32).toString('hex')}`,
    '# Relay to http://localhost and private addresses, too.',
    'ALLOW_PRIVATE_DESTINATIONS=true',
  ]
  writeFileSync(DEV_VARS, `${lines.join('\n')}\n`, { mode: 0o600 })
  return true
}

async function choosePort(args) {
  const wanted = option(args, '--port') ?? '8787'
  if (wanted === '0') return String(await freePort())
  if (!/^\d+$/.test(wanted)) throw new Advice(`--port takes a number, not ${wanted}`)
  if (await connects('localhost', Number(wanted), 1000)) {
    const other = `npm start -- --port ${Number(wanted) + 1}`
    throw new Advice(`port ${wanted} is taken: stop who has it, or choose another: ${other}; beside another station with state of its own: ${other} --persist-to .wrangler/second`)
  }
  return wanted
}

function addressOf(args, port) {
  const ip = option(args, '--ip')
  const host = !ip || ['0.0.0.0', '::', '*'].includes(ip) ? 'localhost' : ip
  return `${option(args, '--local-protocol') ?? 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** The last value of `--name value` or `--name=value`. */
function option(args, name) {
  return values(args, name).at(-1)
}

function values(args, name) {
  return args.flatMap((arg, index) => {
    if (arg.startsWith(`${name}=`)) return [arg.slice(name.length + 1)]
    return arg === name && args[index + 1] !== undefined ? [args[index + 1]] : []
  })
}

function without(args, name) {
  return args.filter((arg, index) => !(arg === name || arg.startsWith(`${name}=`) || args[index - 1] === name))
}

function welcome({ url, args, wroteVars, took }) {
  // `--var` beats .dev.vars; an --env-file takes its place.
  const given = values(args, '--var').find((text) => text.startsWith('ADMIN_TOKEN:'))?.slice('ADMIN_TOKEN:'.length)
  const file = path.resolve(ROOT, option(args, '--env-file') ?? DEV_VARS)
  const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`
  const token = given ? '$ADMIN_TOKEN' : `$(sed -n 's/^ADMIN_TOKEN=//p' ${quoted(file)})`
  const where = given ? 'ADMIN_TOKEN, as given with --var' : `ADMIN_TOKEN in ${file}${wroteVars ? ' (just made up)' : ''}`
  const body = { name: 'Webhook đơn hàng', provider: 'casso', webhook_url: 'http://localhost:3000/hook' }
  return `
  Trạm listens on ${url} (after ${seconds(took)}).
  Token for the management API: ${where}
  Create a webhook for Casso that is relayed to ${body.webhook_url}:

${given ? `ADMIN_TOKEN=${quoted(given)}; ` : ''}curl -sS -X POST ${url}/api/v1/webhooks -H "authorization: Bearer ${token}" -H 'content-type: application/json' -d '${JSON.stringify(body)}'

  The answer's ingest_url is what Casso gets. Stop with Ctrl-C.
`
}

await main(import.meta.url, () => start(process.argv.slice(2)))
