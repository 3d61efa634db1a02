// What the station is measured beside: the least that a JavaScript Worker can do
// for the same request, on the same runtime, in the same run.

const SUCCESS = `new Response('{"success":true}', { headers: { "content-type": "application/json" } })`

/** Reads the request and answers. */
const ANSWER = `
export default {
  async fetch(request) {
    await request.arrayBuffer();
    return ${SUCCESS};
  },
};`

/** A Durable Object that inserts one row and answers, behind a Worker that hands it the request; `beside` that, something else. */
const row = (beside = '') => `
import { DurableObject } from "cloudflare:workers";
export class Row extends DurableObject {
  constructor(state, env) {
    super(state, env);
    state.storage.sql.exec("CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, body BLOB)");
  }
  async fetch(request) {
    this.ctx.storage.sql.exec("INSERT INTO rows (body) VALUES (?)", await request.arrayBuffer());
    return ${SUCCESS};
  }
}
export default {
  async fetch(request, env, context) {
    ${beside}
    return env.ROW.getByName(new URL(request.url).pathname).fetch(request);
  },
};`
/** A look at KV, as the station has. */
const LOOK = 'context.waitUntil(env.KV.get("seen:" + request.headers.get("x-hub-signature-256")));'

/**
 * Durable Objects that insert one row and answer, and then send what they have to the origin, six at
 * once, and write down that it was taken. The path says how many there are: /name/shards. What comes
 * to /name/shards/held is sent only when /name/shards/go is asked for.
 */
const relay = (origin) => `
import { DurableObject } from "cloudflare:workers";
export class Relay extends DurableObject {
  constructor(state, env) {
    super(state, env);
    this.sql = state.storage.sql;
    this.sql.exec("CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, sequence TEXT, body BLOB, taken INTEGER)");
    this.read = 0;
    this.next = [];
    this.slots = 0;
  }
  async fetch(request) {
    if (request.method === "POST") {
      const body = await request.arrayBuffer();
      this.sql.exec("INSERT INTO rows (sequence, body) VALUES (?, ?)", request.headers.get("x-load-sequence"), body);
      if (request.url.endsWith("/held")) return ${SUCCESS};
    }
    while (this.slots < 6 && this.more()) this.slot();
    return ${SUCCESS};
  }
  more() {
    if (this.next.length === 0) {
      this.next = this.sql.exec("SELECT id, sequence, body FROM rows WHERE id > ? ORDER BY id LIMIT 6", this.read).toArray();
      this.read = this.next.at(-1)?.id ?? this.read;
    }
    return this.next.length > 0;
  }
  async slot() {
    this.slots++;
    while (this.more()) {
      const { id, sequence, body } = this.next.shift();
      const answer = await fetch(${JSON.stringify(origin)}, { method: "POST", headers: { "x-load-sequence": sequence }, body });
      await answer.arrayBuffer();
      this.sql.exec("UPDATE rows SET taken = ? WHERE id = ?", answer.status, id);
    }
    this.slots--;
  }
}
export default {
  async fetch(request, env) {
    const [, name, shards, go] = new URL(request.url).pathname.split("/");
    const object = (shard) => env.RELAY.getByName(name + "/" + shard);
    if (go === "go") {
      await Promise.all(Array.from({ length: shards }, (_, shard) => object(shard).fetch(request.url)));
      return ${SUCCESS};
    }
    return object(request.headers.get("x-load-sequence") % shards).fetch(request);
  },
};`

/** Checks the same signature as the station does, by WebCrypto. */
const hmac = (secret) => `
const key = crypto.subtle.importKey("raw", new TextEncoder().encode(${JSON.stringify(secret)}), { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
export default {
  async fetch(request) {
    const signature = bytes((request.headers.get("x-hub-signature-256") ?? "").slice(7));
    const body = await request.arrayBuffer();
    if (!(await crypto.subtle.verify("HMAC", await key, signature, body))) {
      return Response.json({ type: "about:blank", title: "Unauthorized", status: 401, code: "unauthenticated" }, { status: 401 });
    }
    return ${SUCCESS};
  },
};`

/** The floors as Workers for \`start\`. */
export const floors = (secret, origin) => [
  { name: 'answer', source: ANSWER, objects: [] },
  { name: 'row', source: row(), objects: ['Row'] },
  { name: 'glance', source: row(LOOK), objects: ['Row'], kv: true },
  { name: 'relay', source: relay(origin), objects: ['Relay'] },
  { name: 'hmac', source: hmac(secret), objects: [] },
]
