// The load generator (benches/load, in Rust) as a program that is asked one thing
// after the other.

import { spawn } from 'node:child_process'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { ROOT, run } from '../scripts/process.mjs'
import { ensureTools } from '../scripts/tools.mjs'

/** Builds it (optimised, by a profile that is quick to build) and starts it. */
export async function startLoad() {
  const { cargo, env } = await ensureTools()
  await run(cargo, ['build', '--quiet', '--profile', 'simulation', '-p', 'tram-load'], { env, toStderr: true })
  const program = path.resolve(ROOT, env.CARGO_TARGET_DIR || 'target', 'simulation/tram-load')
  const child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async () => {
    const { value, done } = await lines.next()
    if (done) throw new Error('the load generator has ended')
    const answer = JSON.parse(value)
    if (answer.error) throw new Error(`the load generator: ${answer.error}`)
    return answer
  }
  const { origin_port: originPort } = await next()
  const ask = (command) => {
    child.stdin.write(`${JSON.stringify(command)}\n`)
    return next()
  }
  return {
    originUrl: `http://127.0.0.1:${originPort}/hook`,
    /** Scripts the origin. */
    origin: (script = {}) => ask({ do: 'origin', ...script }),
    /** Sends events; what came of it. */
    fire: (order) => ask({ do: 'fire', ...order }),
    /** Waits until events have reached the origin. */
    arrivals: (first, count, patienceMs = 60_000) => ask({ do: 'arrivals', first, count, patience_ms: patienceMs }),
    stop: () => child.stdin.end(),
  }
}
