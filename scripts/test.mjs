// `npm test`: every lint and test that needs only Rust and Node.js, in order of
// cost, up to the first failure. The last line is the sum: N passed, N failed.
//
//   npm test -- --quick      without the guards and the black-box tests
//   npm test -- name …       only the tests whose names contain one of these

import { guard } from '../benches/guards.mjs'
import { SQL_SUITE, build } from './build.mjs'
import { Advice, capture, main, run, seconds } from './process.mjs'
import { runPrograms } from './test-programs.mjs'
import { ensureTools } from './tools.mjs'

/** On stdout, as cargo's results are, so that the order stays. */
const tell = (line) => process.stdout.write(`${line}\n`)

/** In CI a Cargo.lock that does not fit is an error, not a thing to mend. */
const LOCKED = process.env.CI ? ['--locked'] : []

async function test(args) {
  const quick = args.includes('--quick')
  const names = args.filter((arg) => arg !== '--quick')
  const sum = { passed: 0, failed: 0 }

  let tools
  const cargo = (words, extraEnv = {}) => run(tools.cargo, words, { env: { ...tools.env, ...extraEnv } })
  const cargoTest = async (name, extraEnv, profile = 'test') => {
    const words = ['test', ...LOCKED, '--no-fail-fast', '--profile', profile, '-p', name, '--', ...names]
    try {
      add(sum, await cargo(words, extraEnv))
    } catch (error) {
      add(sum, error.output ?? '')
      throw error
    }
  }

  const lints = [
    ['formatting', () => cargo(['fmt', '--all', '--check'])],
    ['clippy, host', () => cargo(['clippy', ...LOCKED, '--workspace', '--all-targets', '--', '-D', 'warnings'])],
    ['clippy, wasm', () => cargo(['clippy', ...LOCKED, '--target', 'wasm32-unknown-unknown', '-p', 'tram', '--', '-D', 'warnings'])],
    ['documentation', () => cargo(['doc', ...LOCKED, '--workspace', '--no-deps', '--document-private-items'], { RUSTDOCFLAGS: '-D warnings' })],
  ]
  const steps = [
    ['tools', async () => (tools = await ensureTools())],
    // Whoever asks for one test is in a hurry.
    ...(names.length === 0 ? lints : []),
    ['tests of the core', () => cargoTest('tram-core')],
    // Six times as many lives a second are worth a profile of its own.
    ['simulation', () => cargoTest('tram-simulation', { TRAM_SIMULATION_SECONDS: quick ? '5' : '60' }, quick ? 'test' : 'simulation')],
    ['tests of the load generator', () => cargoTest('tram-load')],
    ['build', () => build(tools)],
    // What costs money and what costs time, in figures that no machine decides.
    ...(names.length === 0 && !quick ? [['guards', () => guarded(tools, sum)]] : []),
    [
      'black-box tests',
      async () => {
        if (quick || !hasPackage(tools, 'tram-tests')) return tell(quick ? 'left out: --quick' : 'none in this workspace')
        await build(tools, SQL_SUITE)
        const env = { ...tools.env, TRAM_NODE: tools.node, TRAM_WRANGLER: tools.wrangler }
        const { output, failed } = await runPrograms(tools.cargo, [...LOCKED, '-p', 'tram-tests'], 'tests', names, env)
        add(sum, output)
        if (failed.length > 0) throw new Advice(`failed: ${failed.join(', ')}; see above`)
      },
    ],
  ]

  const begun = Date.now()
  let broken = null
  for (const [name, step] of steps) {
    tell(`\n── ${name}`)
    const start = Date.now()
    const failedBefore = sum.failed
    try {
      await step()
      tell(`── ${name}: ok, ${seconds(Date.now() - start)}`)
    } catch (error) {
      if (!(error instanceof Advice)) throw error
      // A step that fails without a failed test (a lint, the build) counts as one.
      if (sum.failed === failedBefore) sum.failed += 1
      tell(`tram: ${error.message}`)
      tell(`── ${name}: FAILED, ${seconds(Date.now() - start)}`)
      broken = name
      break
    }
  }
  tell(`\n${broken ? `Stopped at: ${broken}` : 'All steps done'}, ${seconds(Date.now() - begun)}`)
  tell(`${sum.passed} passed, ${sum.failed} failed`)
  if (broken) process.exitCode = 1
}

async function guarded(tools, sum) {
  const { passed, failed } = await guard(tools, tell)
  sum.passed += passed
  sum.failed += failed
  if (failed > 0) throw new Advice(`${failed} figures are beyond their bounds in benches/bounds.json`)
}

/** Adds up the `test result:` lines of cargo. */
function add(sum, output) {
  for (const [, passed, failed] of output.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed/gm)) {
    sum.passed += Number(passed)
    sum.failed += Number(failed)
  }
}

function hasPackage(tools, name) {
  const { status, stdout } = capture(tools.cargo, ['metadata', '--no-deps', '--format-version', '1'], { env: tools.env, maxBuffer: 64 * 1024 * 1024 })
  if (status !== 0) throw new Advice('cargo cannot read the workspace: see `cargo metadata`')
  return JSON.parse(stdout).packages.some((known) => known.name === name)
}

await main(import.meta.url, () => test(process.argv.slice(2)))
