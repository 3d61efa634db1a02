// How often wasm calls JavaScript for one request, which is most of what the edge
// costs beside what the runtime does itself: `node benches/crossings.mjs`, after
// `npm run build`. Nothing of the Worker is changed: a module before it counts.

import { openStation } from './bench-station.mjs'
import { startLoad } from './load.mjs'
import { main } from '../scripts/process.mjs'
import { ensureTools } from '../scripts/tools.mjs'

const REQUESTS = 1_000

const COUNTING = `
globalThis.__crossings = 0;
const Instance = WebAssembly.Instance;
WebAssembly.Instance = function (module, imports) {
  const counted = {};
  for (const from in imports) {
    counted[from] = {};
    for (const name in imports[from]) {
      const real = imports[from][name];
      counted[from][name] = typeof real !== "function" ? real : function (...args) {
        globalThis.__crossings++;
        return real.apply(this, args);
      };
    }
  }
  return new Instance(module, counted);
};`
const COUNTED = `
import "counting.js";
import Station, { Mailbox, Registry } from "station.js";
export { Mailbox, Registry };
export default {
  async fetch(request, env, context) {
    if (new URL(request.url).pathname === "/crossings") return Response.json(globalThis.__crossings);
    return Station.fetch(request, env, context);
  },
};`

await main(import.meta.url, async () => {
  const load = await startLoad(await ensureTools())
  const station = await openStation({ load, wrapper: { 'counted.js': COUNTED, 'counting.js': COUNTING } })
  try {
    for (const [what, held, order] of [
      ['accepted, relaying held', true, {}],
      ['accepted and delivered', false, { connections: 4 }],
      ['a forgery', true, { secret: 'another secret', answer: '401 refused' }],
    ]) {
      const webhook = await station.webhook({ held })
      const fire = (count) => station.fire('tram', [webhook.path], { connections: 16, count, ...order })
      await fire(200)
      const before = await station.crossings()
      const { first, sent } = await fire(REQUESTS)
      if (!held) await load.arrivals(first, sent)
      console.log(`${what}: ${((await station.crossings()) - before) / sent}`)
    }
  } finally {
    await station.stop()
    load.stop()
  }
})
