// What accepting an event adds to the bare minimum: a JavaScript Durable Object
// that inserts one row and answers. Both on one raw workerd, one connection, in
// turn, block by block.
//
//   npm run build && node benches/ingest.mjs

import { createServer, Agent, request } from 'node:http'
import { randomBytes } from 'node:crypto'
import { start } from './workerd.mjs'

const BLOCKS = 5
const REQUESTS = 300
const WARM_UP = 200
const ADMIN = randomBytes(24).toString('hex')

const FLOOR = `
import { DurableObject } from "cloudflare:workers";
export class Row extends DurableObject {
  constructor(state, env) {
    super(state, env);
    state.storage.sql.exec("CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, body BLOB)");
  }
  async fetch(request) {
    this.ctx.storage.sql.exec("INSERT INTO rows (body) VALUES (?)", await request.arrayBuffer());
    return new Response("{\\"success\\":true}");
  }
}
export default { fetch: (request, env) => env.ROW.getByName("one").fetch(request) };`

const agent = new Agent({ keepAlive: true, maxSockets: 1 })

function post(url, headers, body) {
  return new Promise((resolve, reject) => {
    const began = process.hrtime.bigint()
    const call = request(url, { method: 'POST', agent, headers: { ...headers, 'content-length': Buffer.byteLength(body) } }, (answer) => {
      const chunks = []
      answer.on('data', (chunk) => chunks.push(chunk))
      answer.on('end', () =>
        resolve({
          status: answer.statusCode,
          body: Buffer.concat(chunks).toString(),
          ms: Number(process.hrtime.bigint() - began) / 1e6,
        }),
      )
    })
    call.on('error', reject)
    call.end(body)
  })
}

let id = 1
function cassoBody() {
  const description = `DH${id} thanh toan don hang `.padEnd(1700, 'x')
  return JSON.stringify({
    error: 0,
    data: [
      {
        id: id++,
        tid: `FT${id}`,
        description,
        amount: 250000,
        cusum_balance: 1,
        when: '2026-11-20 09:15:00',
        bank_sub_acc_id: '19034567890011',
        bankName: 'Techcombank',
      },
    ],
  })
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
const p99 = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.99)]

const origin = createServer((incoming, answer) => {
  incoming.resume()
  incoming.on('end', () => answer.end('ok'))
})
await new Promise((resolve) => origin.listen(0, '127.0.0.1', resolve))
const station = await start({
  vars: { ADMIN_TOKEN: ADMIN, ALLOW_PRIVATE_DESTINATIONS: 'true' },
  workers: [{ name: 'floor', source: FLOOR, objects: ['Row'] }],
})
let code = 0
try {
  const created = await post(
    `${station.url('tram')}/api/v1/webhooks`,
    { authorization: `Bearer ${ADMIN}`, 'content-type': 'application/json' },
    JSON.stringify({
      name: 'bench',
      provider: 'casso',
      secret: 'a-secret-of-the-bench',
      webhook_url: `http://127.0.0.1:${origin.address().port}/hook`,
    }),
  )
  if (created.status !== 201) throw new Error(`no webhook: ${created.status} ${created.body}`)
  const path = new URL(JSON.parse(created.body).ingest_url).pathname
  const runs = {
    floor: () => post(station.url('floor'), { 'content-type': 'application/json' }, cassoBody()),
    tram: () =>
      post(station.url('tram') + path, { 'secure-token': 'a-secret-of-the-bench', 'content-type': 'application/json' }, cassoBody()),
  }
  const taken = { floor: [], tram: [] }
  for (let block = -1; block < BLOCKS; block++) {
    for (const [name, run] of Object.entries(runs)) {
      for (let n = 0; n < (block < 0 ? WARM_UP : REQUESTS); n++) {
        const { status, body, ms } = await run()
        if (status !== 200) throw new Error(`${name}: ${status} ${body}`)
        if (block >= 0) taken[name].push(ms)
      }
    }
  }
  const added = median(taken.tram) - median(taken.floor)
  console.log(`one connection, ${taken.tram.length} events of 2 KB each, raw workerd, objects on disk`)
  for (const [name, all] of Object.entries(taken)) {
    console.log(`${name.padEnd(6)} p50 ${median(all).toFixed(2)} ms   p99 ${p99(all).toFixed(2)} ms`)
  }
  console.log(`added at p50: ${added.toFixed(2)} ms (bound: 2 ms)`)
  if (added > 2) code = 1
} catch (error) {
  console.error(`${error.message}\n${station.log()}`)
  code = 1
} finally {
  await station.stop()
  origin.close()
  agent.destroy()
}
process.exit(code)
