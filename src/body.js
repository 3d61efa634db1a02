// Bodies, read without trusting their length.

// How much of a body is read only to be dropped, in bytes and in milliseconds.
const MOST_DISCARDED = 16 << 20;
const DISCARD_PATIENCE = 5000;

// How much gzip is unpacked at once, in bytes: hardly more than 16 MiB can come of it.
const SLICE = 16384;

// All that `reader` gives, or null when that is more than `limit` bytes.
async function gather(reader, limit) {
  const chunks = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > limit) return null;
    chunks.push(value);
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

// Reads on and keeps nothing, within what can be spent on that.
async function discard(reader) {
  let timer;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, DISCARD_PATIENCE, { done: true })));
  try {
    for (let left = MOST_DISCARDED; left >= 0;) {
      const { done, value } = await Promise.race([reader.read(), late]);
      if (done) break;
      left -= value.length;
    }
  } catch {
    // The sender has broken off: there is nothing left to read.
  } finally {
    clearTimeout(timer);
  }
}

// A request's body up to `limit` bytes, or null when there is more. Rejects when the
// sender breaks off.
export const read = (request, limit) =>
  readFor(request, limit, request.headers.get("content-length") ?? "", (body) => body);

// What `come` makes of such a body, or `brokenOff` of its end: a promise less than a
// promise of the body. `declared` is its content-length.
export function readFor(request, limit, declared, come, brokenOff) {
  if (!/^\d+$/.test(declared)) return readUndeclared(request, limit).then(come, brokenOff);
  if (Number(declared) > limit) return Promise.resolve(null).then(come);
  // Without a reader in between; what arrives is still measured, whatever was declared.
  return request.arrayBuffer().then((bytes) => come(bytes.byteLength > limit ? null : new Uint8Array(bytes)), brokenOff);
}

async function readUndeclared(request, limit) {
  if (!request.body) return new Uint8Array(0);
  const reader = request.body.getReader();
  const whole = await gather(reader, limit);
  if (!whole) await discard(reader);
  return whole;
}

// Reads what of a request nobody has read.
export async function drain(request) {
  await discard(request.body.getReader());
}

// Decodes gzip with the platform's own decoder, never past `limit` bytes. Null for what
// is not gzip, is cut short or is longer.
//
// The decoder unpacks whatever it is given, read or not: a megabyte may become a
// gigabyte. So it is given a slice at a time, the next once what came of the last is read:
// when a whole turn of the event loop has passed without a read.
export async function gunzip(bytes, limit) {
  const { readable, writable } = new DecompressionStream("gzip");
  const reader = readable.getReader(), writer = writable.getWriter();
  let reads = 0, over = false;
  const counted = { read: () => (reads++, reader.read()) };
  const feed = async () => {
    for (let at = 0; !over; at += SLICE) {
      await writer.write(bytes.subarray(at, at + SLICE));
      if (at + SLICE >= bytes.length) return writer.close();
      for (let seen = -1; seen !== reads && !over;) {
        seen = reads;
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
    }
  };
  try {
    const fed = feed();
    fed.catch(() => {});
    const whole = await gather(counted, limit);
    over = !whole;
    // Only the writing side hears of an end that is missing.
    await (over ? reader.cancel() : fed);
    return whole;
  } catch {
    return null;
  } finally {
    over = true;
  }
}
