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
export const floors = (secret) => [
  { name: 'answer', source: ANSWER, objects: [] },
  { name: 'row', source: row(), objects: ['Row'] },
  { name: 'glance', source: row(LOOK), objects: ['Row'], kv: true },
  { name: 'hmac', source: hmac(secret), objects: [] },
]
