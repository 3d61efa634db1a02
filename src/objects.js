import { waitUntil } from "cloudflare:workers";

// Accepts that come to one object at once share a request to it: so many requests are
// under way, and what comes meanwhile waits for one of them to end.
const UNDER_WAY = 2;
// How many accepts, and how many bytes, make one request; and how many may wait for one.
// What finds no place goes alone, at once.
const TOGETHER = 32, TOGETHER_BYTES = 1 << 20, WAITING = 256;
// A large accept gains nothing by company.
const LARGE = 1 << 18;
// How long an accept waits to be sent, and then to be answered, before it goes alone: both
// and the object's own time are less than the five seconds that a provider waits.
const SENT_WITHIN = 1000, ANSWERED_WITHIN = 2500;
// When nothing has begun for so long, whoever was under way is believed dead.
const DEAD_AFTER = 5000;

// What a waiting accept is told where it is not an answer.
const LEAD = -1, ALONE = -2;

// Until when no accept waits: the runtime was seen to go on with one elsewhere or never.
let aloneUntil = 0;
const REST = 60000;
// How many were told in this turn.
let telling = 0;
const resolved = Promise.resolve();

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

async function gather(env, name, bytes) {
  const alone = () => call(env, "MAILBOX", name, "/accept", bytes);
  const now = Date.now();
  if (now < aloneUntil || bytes.length > LARGE) return alone();
  let line = lines.get(name);
  if (!line || line.dead < now) {
    // What is under way and is forgotten here comes to its end all the same.
    if (lines.size >= LINES) lines.clear();
    lines.set(name, (line = { name, underWay: 0, waiting: [], dead: 0 }));
  }
  if (line.waiting.length >= WAITING) return alone();
  if (line.underWay < UNDER_WAY) {
    line.underWay++;
    line.dead = now + DEAD_AFTER;
    try {
      return await alone();
    } finally {
      next(line);
    }
  }
  return wait(env, line, bytes, alone);
}

// Waits in line until it is told what to do; what comes of that.
function wait(env, line, bytes, alone) {
  // Made this way: of `new Promise`, optimized code forgets whose request it is.
  const told = Promise.withResolvers(), done = Promise.withResolvers();
  const one = { bytes, answer: undefined, told: told.resolve };
  line.waiting.push(one);
  let gone = false, timer;
  const go = (_, late) => {
    if (gone) return;
    // The runtime goes on with it within the request of whoever tells it, and it would
    // end with that. Its timer goes on in its own.
    if (telling > 0 && !late) return void (aloneUntil = Date.now() + REST);
    gone = true;
    clearTimeout(timer);
    const { answer } = one;
    if (answer === ALONE) done.resolve(alone());
    else if (answer === LEAD) done.resolve(lead(env, line, one, alone));
    else if (answer instanceof Error) done.reject(answer);
    else done.resolve(answer);
  };
  told.promise.then(go);
  // A request that waits for another's promise alone is taken for one that hangs.
  timer = setTimeout(() => {
    const at = line.waiting.indexOf(one);
    if (at < 0 && one.answer === undefined) return (timer = setTimeout(late, ANSWERED_WITHIN));
    if (at >= 0) line.waiting.splice(at, 1);
    late();
  }, SENT_WITHIN);
  const late = () => {
    // Told, and not gone: for a while nobody waits here.
    if (one.answer !== undefined) aloneUntil = Date.now() + REST;
    one.answer ??= ALONE;
    go(one, true);
  };
  return done.promise;
}

// Another request is told: the runtime goes on with it there, after this one. That it does
// so is what everything here rests on, and is watched.
function tell(one, answer) {
  one.answer ??= answer;
  telling++;
  one.told();
  resolved.then(() => telling--);
}

// One that was under way has come to its end: the first that waits goes, with those
// behind it.
function next(line) {
  const first = line.waiting.shift();
  if (first) {
    line.dead = Date.now() + DEAD_AFTER;
    tell(first, LEAD);
  } else if (--line.underWay === 0 && lines.get(line.name) === line) {
    lines.delete(line.name);
  }
}

async function lead(env, line, one, alone) {
  let bytes = one.bytes.length, count = 0;
  for (const { bytes: more } of line.waiting) {
    if (count + 1 === TOGETHER || (bytes += more.length) > TOGETHER_BYTES) break;
    count++;
  }
  const others = line.waiting.splice(0, count);
  let answers, failure;
  try {
    if (!count) return await alone();
    answers = unpack(await ask(env, "MAILBOX", line.name, "/accepts", pack([one, ...others])), count + 1);
  } catch (error) {
    if (!count || error?.overloaded === true) throw (failure = error);
  } finally {
    next(line);
    // Those whose request has failed go alone, all of them: one must not spoil the others.
    others.forEach((other, at) => tell(other, failure ?? answers?.[at + 1] ?? ALONE));
  }
  return answers?.[0] ?? alone();
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
