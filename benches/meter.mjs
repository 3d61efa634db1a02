// The cost meter: what one event makes the platform count, the whole way through
// Worker, objects and KV, on the real runtime. The built Worker is not changed:
// two modules around it (probe.js, metered.js) count what it calls.
//
// Its counts do not depend on the machine, so that `npm test` holds them to their
// bounds (guards.mjs).

import { randomBytes, createHmac } from 'node:crypto'
import { createServer } from 'node:http'
import { start } from './workerd.mjs'

/**
 * Before the Worker is loaded: its memory, and its requests to origins. Its time
 * runs `speed` times as fast, so that waits of minutes can be counted.
 */
const probe = (speed, counting) => `
const SPEED = ${speed};
const BEGUN = ${Date.now()};
const realNow = Date.now.bind(Date);
const realTimeout = globalThis.setTimeout;
globalThis.__toReal = (at) => BEGUN + (at - BEGUN) / SPEED;
globalThis.__toFast = (at) => BEGUN + (at - BEGUN) * SPEED;
if (SPEED !== 1) {
  Date.now = () => Math.floor(globalThis.__toFast(realNow()));
  globalThis.setTimeout = (work, ms, ...args) => realTimeout(work, ms / SPEED, ...args);
}
const COUNTING = ${counting};
const meter = (globalThis.__meter = { counts: {}, cursors: [], busy: 0, memory: null });
meter.add = (name) => (meter.counts[name] = (meter.counts[name] ?? 0) + 1);
/** Puts a method around one of the runtime's own classes, once. */
meter.around = (object, method, make) => {
  if (!COUNTING) return;
  const prototype = Object.getPrototypeOf(object);
  const real = prototype[method];
  if (real.watched) return;
  prototype[method] = make(real);
  prototype[method].watched = true;
};
/** Notes each call of such a method. */
meter.watch = (object, method, note) =>
  meter.around(object, method, (real) => function (...args) {
    const result = real.apply(this, args);
    note(result);
    return result;
  });
const Instance = WebAssembly.Instance;
WebAssembly.Instance = function (module, imports) {
  const instance = new Instance(module, imports);
  meter.memory = instance.exports.memory;
  return instance;
};
const send = globalThis.fetch;
globalThis.fetch = (...args) => {
  meter.add("fetches");
  return send(...args);
};`

/** Around the Worker: what comes to it and its objects, and what they ask of storage and KV. */
const METERED = `
import "probe.js";
import Station, { Mailbox as RealMailbox, Registry as RealRegistry } from "station.js";

const meter = globalThis.__meter;
/** The alarm that each object has set. */
const alarms = new Map();

function metered(Real, kind) {
  return class {
    constructor(state, env) {
      this.storage = state.storage;
      meter.watch(state.storage.sql, "exec", (cursor) => meter.cursors.push(cursor));
      meter.around(state.storage, "setAlarm", (set) => function (at) {
        // The same time again writes no row.
        if (alarms.get(this) !== Number(at)) meter.add("alarms_set");
        alarms.set(this, Number(at));
        // Never early, or it would come in vain.
        return set.call(this, Math.ceil(globalThis.__toReal(Number(at))));
      });
      meter.around(state.storage, "getAlarm", (get) => async function () {
        const at = await get.call(this);
        return at === null ? null : Math.floor(globalThis.__toFast(at));
      });
      this.inner = new Real(state, env);
    }
    async fetch(request) {
      meter.add(kind);
      return this.busy(() => this.inner.fetch(request));
    }
    async alarm() {
      meter.add("alarms_fired");
      alarms.delete(this.storage);
      return this.busy(() => this.inner.alarm());
    }
    async busy(work) {
      meter.busy += 1;
      try {
        return await work();
      } finally {
        meter.busy -= 1;
      }
    }
  };
}
export const Mailbox = metered(RealMailbox, "object_requests");
export const Registry = metered(RealRegistry, "registry_requests");

function reading() {
  const counts = { ...meter.counts, rows_read: 0, rows_written: 0 };
  for (const cursor of meter.cursors) {
    counts.rows_read += cursor.rowsRead;
    counts.rows_written += cursor.rowsWritten;
  }
  return { counts, busy: meter.busy, alarms: alarms.size, wasm_bytes: meter.memory.buffer.byteLength };
}

export default {
  async fetch(request, env, context) {
    const { pathname } = new URL(request.url);
    if (pathname === "/meter") return Response.json(reading());
    if (pathname === "/meter/reset") {
      meter.counts = {};
      meter.cursors = [];
      return new Response();
    }
    meter.add("worker_requests");
    meter.watch(env.KV, "get", () => meter.add("kv_reads"));
    meter.watch(env.KV, "put", () => meter.add("kv_writes"));
    meter.watch(env.KV, "delete", () => meter.add("kv_deletes"));
    return Station.fetch(request, env, context);
  },
};`

/** The two modules; without counting they only tell how large the wasm's memory is. */
export const wrapper = ({ speed = 1, counting = true } = {}) => ({ 'metered.js': METERED, 'probe.js': probe(speed, counting) })

const ADMIN = randomBytes(24).toString('hex')
const SECRET = 'a-secret-of-the-meter'
/** Fast enough not to wait for minutes, slow enough that a busy machine does not outlast a lease. */
const SPEED = 20

/** An origin that answers each event's first `failures` attempts with 500, after `delayMs`. */
async function startOrigin({ failures = 0, delayMs = 0 }) {
  const attempts = new Map()
  const server = createServer((request, answer) => {
    request.resume()
    request.on('end', () => {
      const id = request.headers['webhook-id']
      const attempt = (attempts.get(id) ?? 0) + 1
      attempts.set(id, attempt)
      setTimeout(() => answer.writeHead(attempt <= failures ? 500 : 200).end(), delayMs)
    })
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${server.address().port}/hook`,
    taken: () => [...attempts.values()].filter((attempt) => attempt > failures).length,
    stop: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** A metered station with an origin and as many webhooks as are wanted. */
async function open({ webhooks = 1, settings = {}, origin: script = {}, speed = 1 }) {
  const origin = await startOrigin(script)
  const station = await start({ vars: { ADMIN_TOKEN: ADMIN, ALLOW_PRIVATE_DESTINATIONS: 'true' }, wrapper: wrapper({ speed }) })
  const call = async (path, init = {}) => {
    const answer = await fetch(station.url('tram') + path, init)
    const text = await answer.text()
    return { status: answer.status, outcome: answer.headers.get('x-tram-outcome'), json: text ? JSON.parse(text) : null }
  }
  const ids = []
  for (let n = 0; n < webhooks; n++) {
    const { status, json } = await call('/api/v1/webhooks', {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'meter', provider: 'github', secret: SECRET, webhook_url: origin.url, timeout_seconds: 30, ...settings }),
    })
    if (status !== 201) throw new Error(`no webhook: ${status} ${JSON.stringify(json)}`)
    ids.push(json.id)
  }
  const post = async (webhook, event, wanted, secret = SECRET) => {
    const body = JSON.stringify({ event, note: ''.padEnd(1_990, 'x') })
    const headers = {
      'content-type': 'application/json',
      'x-github-event': 'push',
      'x-github-delivery': `delivery-${event}`,
      'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
    }
    const { outcome } = await call(`/in/${ids[webhook]}`, { method: 'POST', headers, body })
    if (outcome !== wanted) throw new Error(`event ${event} was ${outcome} instead of ${wanted}`)
  }
  const read = async () => (await call('/meter')).json
  return {
    post,
    read,
    reset: () => call('/meter/reset'),
    /** Until so many events are delivered and no object is at work; where time is fast, until no alarm is left either. */
    settled: async (delivered) => {
      for (let tries = 0; tries < 2_000; tries++) {
        // What is left for after the answer, and an alarm that is set but has not begun.
        await new Promise((resolve) => setTimeout(resolve, 20))
        const reading = await read()
        if (origin.taken() >= delivered && reading.busy === 0 && (speed <= 1 || reading.alarms === 0)) {
          if (same(reading, await later(read))) return
        }
      }
      throw new Error(`${origin.taken()} of ${delivered} events were delivered`)
    },
    stop: async () => {
      await station.stop()
      origin.stop()
    },
  }
}

async function later(read) {
  await new Promise((resolve) => setTimeout(resolve, 60))
  return read()
}

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other)

/** `count` posts over some connections. */
async function flood(count, connections, post) {
  let next = 0
  const sender = async () => {
    while (next < count) await post(next++)
  }
  await Promise.all(Array.from({ length: connections }, sender))
}

/** Each scenario: what it is called in tables, and a run that says of how many events the reading is. Those whose time runs fast mostly wait. */
export const SCENARIOS = {
  alone: {
    name: 'delivered at once, alone',
    // More than a minute lies between them: the lease's alarm comes to look.
    options: { speed: SPEED },
    async run(station) {
      for (let n = 1; n <= 3; n++) {
        await station.post(0, n, 'accepted')
        await station.settled(n + 1)
      }
      return 3
    },
  },
  load: {
    name: 'delivered at once, under load',
    options: { origin: { delayMs: 20 } },
    async run(station) {
      // Two at once, so that none shares its request to the object: how many do is the machine's business, and only saves.
      await flood(300, 2, (n) => station.post(0, n + 1, 'accepted'))
      await station.settled(301)
      return 300
    },
  },
  third: {
    name: 'delivered at the third attempt, alone',
    // Each webhook's event alone, on the default schedule: after one minute, and one more.
    options: { webhooks: 5, origin: { failures: 2 }, speed: SPEED },
    async run(station) {
      for (let webhook = 0; webhook < 5; webhook++) await station.post(webhook, 100 + webhook, 'accepted')
      await station.settled(10)
      return 5
    },
  },
  duplicate: {
    name: 'duplicate, the first of a delivered event',
    async run(station) {
      for (let n = 1; n <= 20; n++) await station.post(0, n, 'accepted')
      await station.settled(21)
      await station.reset()
      for (let n = 1; n <= 20; n++) await station.post(0, n, 'duplicate')
      await station.settled(21)
      return 20
    },
  },
  replay: {
    name: 'duplicate, each further one',
    async run(station) {
      await station.post(0, 0, 'duplicate')
      await station.settled(1)
      await station.reset()
      await flood(200, 8, () => station.post(0, 0, 'duplicate'))
      await station.settled(1)
      return 200
    },
  },
  refused: {
    name: 'refused, one of a thousand within a second',
    // Time nearly stands still: how long the flood takes is the machine's business.
    options: { speed: 0.05 },
    async run(station) {
      await flood(1_000, 8, (n) => station.post(0, n, 'refused', 'another secret'))
      await station.settled(1)
      return 1_000
    },
  },
  filtered: {
    name: 'filtered out',
    options: { settings: { allow_events: ['issues'] }, warm: 'filtered' },
    async run(station) {
      for (let n = 1; n <= 50; n++) await station.post(0, n, 'filtered')
      await station.settled(0)
      return 50
    },
  },
}

/** The counts of one event of a scenario. */
export async function measure(key) {
  const { options = {}, run } = SCENARIOS[key]
  const station = await open(options)
  try {
    // The first event brings the configuration, the schema and the hour's note with it.
    const warm = options.warm ?? 'accepted'
    for (let webhook = 0; webhook < (options.webhooks ?? 1); webhook++) await station.post(webhook, 0, warm)
    await station.settled(warm === 'accepted' ? (options.webhooks ?? 1) : 0)
    await station.reset()
    const events = await run(station)
    const { counts } = await station.read()
    // The hour's note to the Registry comes once an hour, not with an event.
    if (options.speed > 1) delete counts.registry_requests
    return Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, count / events]))
  } finally {
    await station.stop()
  }
}

/** The counts of all scenarios; those that wait do so beside the others. */
export async function measureAll() {
  const all = {}
  const one = async (key) => (all[key] = await measure(key))
  const [waiting, working] = [true, false].map((slow) => Object.keys(SCENARIOS).filter((key) => SCENARIOS[key].options?.speed > 1 === slow))
  await Promise.all([
    ...waiting.map(one),
    (async () => {
      for (const key of working) await one(key)
    })(),
  ])
  return all
}
