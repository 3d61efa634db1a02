// `npm run test:extra`: checks that need more than Rust and Node.js. They install what
// they need outside the project; of the machine they want Python 3.10 with venv and a C++
// compiler. All of them run, whatever fails; the last line is the sum: N passed, N failed.
//
//   npm run test:extra -- name …     only those whose names contain one of these

import { copyFileSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { randomBytes } from 'node:crypto'
import { build } from './build.mjs'
import { ensureDeny, ensureNpmProject, ensurePython } from './extra-tools.mjs'
import { Advice, ROOT, capture, main, run, seconds } from './process.mjs'
import { startStation, stopSignal } from './station.mjs'
import { ensureTools } from './tools.mjs'

/** Of each operation; together with the station's answers about two minutes. */
const EXAMPLES = '15'
/** For each fuzz target. */
const FUZZ_SECONDS = '6'
/** Where what is made on the way lies. */
const SCRAP = path.join(ROOT, 'target', 'extra')

const tell = (line) => process.stdout.write(`${line}\n`)

/** A check that cannot be made here, and why; not a failure. */
class LeftOut extends Error {}

async function testExtra(names) {
  const signal = stopSignal()
  const tools = await ensureTools()
  await build(tools)
  rmSync(SCRAP, { recursive: true, force: true })
  mkdirSync(SCRAP, { recursive: true })
  const token = randomBytes(32).toString('hex')
  const python = () => ensurePython('tests/schemathesis/requirements.txt')

  const checks = [
    ['licences, bans and sources', () => deny(tools, ['licenses', 'bans', 'sources'])],
    ['advisories', () => advisories(tools)],
    // Before the next makes more webhooks than one list may look through.
    ['a client in TypeScript', (station) => typescript(tools, station, token)],
    ["the providers' own libraries", (station) => libraries(tools, station, token)],
    ['metrics', async (station) => metrics(await python(), station, token)],
    ['events and figures, by their description', async (station) => schemathesis(await python(), station, token, ['--include-tag', 'Events', '--include-tag', 'Station', '--include-tag', 'Receiving', '--phases', 'examples,coverage,fuzzing'])],
    ['one request after another, by the description', async (station) => schemathesis(await python(), station, token, ['--phases', 'stateful'])],
    ['webhooks, by their description', async (station) => schemathesis(await python(), station, token, ['--include-tag', 'Webhooks', '--phases', 'examples,coverage,fuzzing'])],
    ['fuzzing', () => run(process.execPath, [path.join(ROOT, 'scripts', 'fuzz.mjs'), FUZZ_SECONDS], { env: tools.env })],
  ]
  const asked = checks.filter(([name]) => names.length === 0 || names.some((part) => name.includes(part)))
  if (asked.length === 0) throw new Advice(`there is no such check, only: ${checks.map(([name]) => name).join('; ')}`)

  const begun = Date.now()
  const sum = { passed: 0, failed: 0, leftOut: 0 }
  let station
  for (const [name, check] of asked) {
    if (signal.aborted) break
    tell(`\n── ${name}`)
    const start = Date.now()
    const took = () => seconds(Date.now() - start)
    try {
      // One for all that want one.
      if (check.length > 0) station ??= await startStation({ vars: { ADMIN_TOKEN: token, ALLOW_PRIVATE_DESTINATIONS: 'true' }, signal })
      await check(station)
      sum.passed += 1
      tell(`── ${name}: ok, ${took()}`)
    } catch (error) {
      if (error instanceof LeftOut) {
        sum.leftOut += 1
        tell(`── ${name}: LEFT OUT, ${error.message}`)
        continue
      }
      if (!(error instanceof Advice)) throw error
      sum.failed += 1
      tell(`tram: ${error.message}`)
      tell(`── ${name}: FAILED, ${took()}`)
    }
  }
  await station?.stop()
  if (signal.aborted) sum.failed += 1
  tell(`\n${sum.leftOut > 0 ? `${sum.leftOut} left out, ` : ''}${seconds(Date.now() - begun)}`)
  tell(`${sum.passed} passed, ${sum.failed} failed`)
  process.exitCode = sum.failed > 0 ? 1 : 0
}

/** Both workspaces, by the rules of deny.toml. */
async function deny(tools, which, more = []) {
  const program = await ensureDeny(tools.env)
  for (const manifest of ['Cargo.toml', 'fuzz/Cargo.toml']) {
    const rules = path.join(ROOT, 'deny.toml')
    await run(program, ['--manifest-path', manifest, '--config', rules, '--locked', ...more, 'check', '--hide-inclusion-graph', ...which], { env: tools.env, toStderr: true })
  }
}

/** What is known of the crates' weaknesses lies at GitHub, and not every machine may go there. */
async function advisories(tools) {
  const program = await ensureDeny(tools.env)
  const fetched = capture(program, ['fetch', 'db'], { env: { ...tools.env, GIT_TERMINAL_PROMPT: '0' }, timeout: 60_000 })
  if (fetched.status !== 0) {
    const why = fetched.stderr.trim().split('\n').at(-1)
    throw new LeftOut(`as the list of advisories cannot be fetched: ${why}`)
  }
  await deny(tools, ['advisories'], ['--offline'])
}

/** Schemathesis with all checks on; what it is told is in its own file. */
async function schemathesis(python, station, token, which) {
  const rules = path.join(ROOT, 'tests', 'schemathesis', 'schemathesis.toml')
  const program = path.join(path.dirname(python), 'schemathesis')
  await run(program, ['--no-color', '--config-file', rules, 'run', `${station.url}/api/v1/openapi.json`, '--checks', 'all', '--max-examples', EXAMPLES, ...which], {
    // It leaves what it found beside it.
    cwd: SCRAP,
    env: { ...process.env, TRAM_TOKEN: token },
  })
}

/** Types from the description, strictly compiled, and a client of them that is run. */
async function typescript(tools, station, token) {
  const installed = await ensureNpmProject('tests/typescript-client')
  const folder = path.join(SCRAP, 'typescript-client')
  mkdirSync(folder)
  for (const name of ['package.json', 'tsconfig.json', 'client.ts']) copyFileSync(path.join(ROOT, 'tests', 'typescript-client', name), path.join(folder, name))
  symlinkSync(path.join(installed, 'node_modules'), path.join(folder, 'node_modules'), 'junction')
  const script = (name) => path.join(folder, 'node_modules', ...name.split('/'))
  const description = path.join(ROOT, 'assets', 'api', 'v1', 'openapi.json')
  await run(tools.node, [script('openapi-typescript/bin/cli.js'), description, '--output', path.join(folder, 'tram.ts'), '--default-non-nullable=false'], { cwd: folder, toStderr: true })
  await run(tools.node, [script('typescript/bin/tsc'), '--project', folder], { cwd: folder })
  await run(tools.node, [path.join(folder, 'client.js'), station.url, token], { cwd: folder })
}

/** The libraries of Stripe, Svix and Standard Webhooks take what the station relays, hours later too. */
async function libraries(tools, station, token) {
  const installed = await ensureNpmProject('tests/official-libraries')
  const python = await ensurePython('tests/official-libraries/requirements.txt')
  const folder = path.join(SCRAP, 'official-libraries')
  mkdirSync(folder)
  for (const name of ['package.json', 'check.mjs', 'verify.py']) copyFileSync(path.join(ROOT, 'tests', 'official-libraries', name), path.join(folder, name))
  symlinkSync(path.join(installed, 'node_modules'), path.join(folder, 'node_modules'), 'junction')
  await run(tools.node, [path.join(folder, 'check.mjs'), station.url, token, python], { cwd: folder })
}

/** Prometheus' own parser reads what the station tells of itself. */
async function metrics(python, station, token) {
  const answer = await fetch(`${station.url}/metrics`, { headers: { authorization: `Bearer ${token}` } })
  const text = await answer.text()
  if (answer.status === 404) throw new LeftOut('as this station has no /metrics')
  if (answer.status !== 200) throw new Advice(`/metrics answers ${answer.status}: ${text.slice(0, 500)}`)
  const file = path.join(SCRAP, 'metrics.txt')
  writeFileSync(file, text)
  await run(python, [path.join(ROOT, 'tests', 'schemathesis', 'metrics.py'), file, answer.headers.get('content-type') ?? ''])
}

await main(import.meta.url, () => testExtra(process.argv.slice(2)))
