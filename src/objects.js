import { waitUntil } from "cloudflare:workers";

// Accepts that come to one object at once share a request to it: so many requests are
// under way, and what comes meanwhile waits for a free place among them.
const UNDER_WAY = 2;
// How many accepts, and how many bytes, make one request; and how many may wait for one.
// What finds no room goes alone, at once.
const TOGETHER = 32, TOGETHER_BYTES = 1 << 20, WAITING = 256;
// A large accept gains nothing by company.
const LARGE = 1 << 18;
// How many milliseconds an accept waits to be sent, and then to be answered, before it
// goes alone: both and the object's own time are less than the five seconds that a
// provider waits.
const SENT_WITHIN = 500, ANSWERED_WITHIN = 2500;
// A request that is under way for longer is believed dead, and its place free.
const DEAD_AFTER = 5000;

// What a waiting accept finds instead of an answer.
const ALONE = 0;

// By the object's name; only of those that are being called.
const lines = new Map(), LINES = 1000;

async function ask(env, binding, name, path, bytes) {
  // A stub that has failed stays broken: each try takes a new one.
  const stub = env[binding].getByName(name);
  const response = await stub.fetch("https://object" + path, { method: "POST", body: bytes });
  return response.status === 200 ? new Uint8Array(await response.arrayBuffer()) : response.status;
}

// Sends `bytes` to an object. Resolves to the bytes it answers with, or to its status
// where that is not 200. Where the platform marks an error as one that a second call may
// cure, there is one; an overloaded object must not be called again.
export async function call(env, binding, name, path, bytes) {
  try {
    return await ask(env, binding, name, path, bytes);
  } catch (error) {
    if (error?.retryable !== true || error.overloaded === true) throw error;
    return ask(env, binding, name, path, bytes);
  }
}

// The same for an accept, which may share its request with others. With a `key`, with a
// glance at KV beside it: resolves to null when `value` is found there before the object
// has answered. A KV that is slow, fails or is absent changes nothing.
export function accept(env, name, path, bytes, key, value) {
  const stored = path === "/accept" ? gather(env, name, bytes) : call(env, "MAILBOX", name, path, bytes);
  // It goes on when the sender has gone, for the sake of those that share it.
  waitUntil(stored.catch(() => {}));
  if (!key || !env.KV) return stored;
  return new Promise((resolve, reject) => {
    stored.then(resolve, reject);
    const look = async () => (await env.KV.get(key)) === value && resolve(null);
    look().catch(() => {});
  });
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function gather(env, name, bytes) {
  const alone = () => call(env, "MAILBOX", name, "/accept", bytes);
  if (bytes.length > LARGE) return alone();
  let line = lines.get(name);
  if (!line) {
    // The oldest goes: what is under way and is forgotten here comes to its end all the same.
    if (lines.size >= LINES) lines.delete(lines.keys().next().value);
    // Until when each place is taken; who waits; how long the last shared request took.
    lines.set(name, (line = { name, places: Array(UNDER_WAY).fill(0), waiting: [], took: 8 }));
  }
  const came = Date.now();
  const one = { bytes, answer: undefined, sent: 0 };
  let place = free(line, came);
  if (place < 0) {
    if (line.waiting.length >= WAITING) return alone();
    line.waiting.push(one);
  }
  // Nobody waits for a promise of another request: what ends with that, or goes on within
  // it, would be lost. Each looks by itself, in time of its own.
  while (place < 0) {
    // It looks ever more seldom: what has taken long will take long yet.
    const waited = Date.now() - (one.sent || came);
    const soon = one.sent ? line.took - waited : Math.min(line.took / 4, 10);
    await pause(Math.min(Math.max(soon, waited / 16, 1), 50));
    const now = Date.now();
    const { answer, sent } = one;
    if (answer === ALONE) return alone();
    if (answer instanceof Error) throw answer;
    if (answer) return answer;
    if (!sent) place = free(line, now);
    if (sent ? now - sent < ANSWERED_WITHIN : now - came < SENT_WITHIN || place >= 0) continue;
    if (!sent) line.waiting.splice(line.waiting.indexOf(one), 1);
    return alone();
  }
  return lead(env, line, place, one, alone);
}

// A place in line that is free; -1 when there is none.
function free({ places }, now) {
  return places.findIndex((until) => until <= now);
}

// Sends one accept with those that wait; what becomes of it.
async function lead(env, line, place, one, alone) {
  const began = Date.now(), until = began + DEAD_AFTER;
  line.places[place] = until;
  const all = [one];
  let bytes = one.bytes.length;
  line.waiting = line.waiting.filter((other) => {
    if (other === one) return false;
    if (all.length === TOGETHER || bytes + other.bytes.length > TOGETHER_BYTES) return true;
    bytes += other.bytes.length;
    other.sent = began;
    all.push(other);
  });
  const shared = all.length > 1;
  let answers, failure;
  try {
    if (!shared) return await alone();
    answers = unpack(await ask(env, "MAILBOX", line.name, "/accepts", pack(all)), all.length);
    line.took = Date.now() - began;
  } catch (error) {
    if (!shared || error?.overloaded === true) throw (failure = error);
  } finally {
    // Where its request has failed each goes alone: one must not spoil the others.
    all.forEach((other, at) => (other.answer = failure ?? answers?.[at] ?? ALONE));
    if (line.places[place] === until) line.places[place] = 0;
    if (!line.waiting.length && line.places.every((until) => !until)) lines.delete(line.name);
  }
  return one.answer || alone();
}

// Accepts, and answers, behind each other: each after its length, in 4 bytes, little-endian.
function pack(accepts) {
  const packed = new Uint8Array(accepts.reduce((sum, { bytes }) => sum + 4 + bytes.length, 0));
  const view = new DataView(packed.buffer);
  let at = 0;
  for (const { bytes } of accepts) {
    view.setUint32(at, bytes.length, true);
    packed.set(bytes, at + 4);
    at += 4 + bytes.length;
  }
  return packed;
}

// The answers to so many accepts, or nothing where they are not that. An accept that has
// failed is answered with no bytes, and by itself with this status.
function unpack(packed, count) {
  if (typeof packed === "number") return;
  const view = new DataView(packed.buffer);
  const answers = [];
  let at = 0;
  while (at < packed.length) {
    const from = at + 4;
    at = from + view.getUint32(at, true);
    answers.push(at === from ? 500 : packed.subarray(from, at));
  }
  if (at === packed.length && answers.length === count) return answers;
}
