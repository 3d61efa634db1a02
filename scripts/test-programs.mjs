// The test programs of a package, two at a time: cargo runs one after the other, and
// those that drive a runtime mostly wait for it.

import path from 'node:path'
import { Advice, ROOT, capture, run } from './process.mjs'

/** As many as have a core each on the smallest machines. */
const AT_ONCE = 2
/** Those that take longest (a thousand webhooks, a lease's end, memory that grows old) begin first. */
const FIRST = ['many_webhooks', 'crash', 'kv']

/** What cargo has built: name and file of each program. */
function programs(cargo, words, env) {
  const built = capture(cargo, ['test', ...words, '--no-run', '--message-format', 'json-render-diagnostics'], {
    env,
    maxBuffer: 256 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (built.status !== 0) throw new Advice('the tests do not compile; see above')
  const found = built.stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
    .filter(({ reason, executable, profile }) => reason === 'compiler-artifact' && executable && profile.test)
    .map(({ target, executable }) => ({ name: target.name, file: executable }))
  if (found.length === 0) throw new Advice('cargo names no test programs')
  return found
}

/**
 * Builds the test programs of the package in `folder` and runs them all, each with
 * `args`; what it wrote is told at its end. Returns all that they wrote, and the names
 * of those that failed.
 */
export async function runPrograms(cargo, words, folder, args, env) {
  const rank = ({ name }) => (FIRST.includes(name) ? 0 : 1)
  const waiting = programs(cargo, words, env).sort((one, other) => rank(one) - rank(other))
  const outputs = []
  const failed = []
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      try {
        outputs.push(await run(next.file, args, { cwd: path.join(ROOT, folder), env, apart: `     Running ${next.name} (${path.relative(ROOT, next.file)})` }))
      } catch (error) {
        if (!(error instanceof Advice)) throw error
        outputs.push(error.output ?? '')
        failed.push(next.name)
        // Whoever stops one of them means all.
        if (['SIGINT', 'SIGTERM'].includes(error.ending)) waiting.length = 0
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return { output: outputs.join(''), failed }
}
