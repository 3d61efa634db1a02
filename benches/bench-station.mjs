// A station as the bench uses it: webhooks that come and go, load on it, and what
// workerd spends meanwhile.

import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { start } from './workerd.mjs'

export const SECRET = 'a-secret-of-the-bench'
/** Signed with another secret. */
export const FORGED = { secret: 'another secret', answer: '401 refused' }
const ADMIN = randomBytes(24).toString('hex')
/** Linux counts a process's time in hundredths of a second. */
const TICK_US = 10_000

/** CPU time of a process so far, in µs; NaN where there is no /proc. */
function cpuOf(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
    return (Number(fields[11]) + Number(fields[12])) * TICK_US
  } catch {
    return NaN
  }
}

function residentOf(pid) {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024
  } catch {
    return NaN
  }
}

export async function openStation({ load, workers = [], wrapper, build, v8Flags }) {
  const runtime = await start({ vars: { ADMIN_TOKEN: ADMIN, ALLOW_PRIVATE_DESTINATIONS: 'true' }, workers, wrapper, build, v8Flags })
  const port = (name) => Number(new URL(runtime.url(name)).port)
  const get = (route, name = 'tram') => fetch(runtime.url(name) + route, { headers: { authorization: `Bearer ${ADMIN}` } })
  const api = async (method, route, body) => {
    const answer = await fetch(`${runtime.url('tram')}/api/v1${route}`, {
      method,
      headers: { authorization: `Bearer ${ADMIN}`, 'content-type': 'application/json' },
      body: body && JSON.stringify(body),
    })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${method} ${route}: ${answer.status} ${text}`)
    return JSON.parse(text)
  }
  const fire = async (name, paths, { answer = name === 'tram' ? '200 accepted' : '200', ...order }) => {
    const before = cpuOf(runtime.pid)
    const fired = await load.fire({ port: port(name), paths, secret: SECRET, ...order })
    // Figures of anything else would be of something else.
    if (fired.sent === 0 || Object.keys(fired.answers).join() !== answer) throw new Error(`${name} answered ${JSON.stringify(fired.answers)} instead of ${answer}`)
    return { ...fired, cpu_us: (cpuOf(runtime.pid) - before) / fired.sent }
  }
  const webhook = async ({ shards = 1, held = false }) => {
    // What has gathered is relayed at the destination's rate, which is not to be what is measured.
    const destinations = [{ url: load.originUrl, rate_per_second: 10_000 }]
    const { id } = await api('POST', '/webhooks', { name: 'bench', provider: 'github', secret: SECRET, shards, destinations })
    if (held) await api('POST', `/webhooks/${id}/pause`)
    const letGo = () => api('POST', `/webhooks/${id}/resume`)
    const made = { id, path: `/in/${id}`, letGo, remove: () => api('DELETE', `/webhooks/${id}`) }
    // Every shard has its configuration and its schema before anything is timed.
    await fire('tram', [made.path], { connections: 8, count: Math.max(20, shards * 4) })
    return made
  }
  return {
    webhook,
    /** Load on one of the Workers, and the CPU that a request took. */
    fire,
    /** How long a management request takes, in ms. */
    timed: async (route) => {
      const began = performance.now()
      const answer = await get(route)
      await answer.arrayBuffer()
      if (!answer.ok) throw new Error(`${route}: ${answer.status}`)
      return performance.now() - began
    },
    probe: async () => ({ ...(await (await get('/meter')).json()), resident: residentOf(runtime.pid) }),
    /** What workerd has spent so far, in µs. */
    spent: () => cpuOf(runtime.pid),
    /** For floors: something that is no event. */
    ask: async (name, path) => (await get(path, name)).arrayBuffer(),
    /** To be profiled. */
    pid: runtime.pid,
    /** Every path is compiled before anything is timed. */
    warm: async (count) => {
      for (const { name } of workers) await fire(name, ['/warm/1'], { connections: 16, count })
      const made = await webhook({})
      const fired = await fire('tram', [made.path], { connections: 16, count })
      await load.arrivals(fired.first, fired.sent, 20_000)
      await fire('tram', [made.path], { connections: 16, count, ...FORGED })
      await made.remove()
    },
    /** For crossings.mjs: calls from wasm into JavaScript so far. */
    crossings: async () => (await get('/crossings')).json(),
    stop: runtime.stop,
    log: runtime.log,
  }
}
