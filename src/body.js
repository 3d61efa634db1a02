// Bodies, read without trusting their length.

// How much of a body is read only to be dropped, in bytes and in milliseconds.
const MOST_DISCARDED = 16 << 20;
const DISCARD_PATIENCE = 5000;

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

// What is behind these codings, taken off one after the other, or null where one of them
// holds more than `limit` bytes. Undefined for what is damaged, or goes on behind its end.
export function decode(bytes, codings, limit) {
  zlib ??= process.getBuiltinModule("node:zlib");
  try {
    for (const coding of codings.split(",")) {
      const { buffer, engine } = DECODERS[coding](bytes, { maxOutputLength: limit, info: true });
      if (engine.bytesWritten !== bytes.length) return undefined;
      bytes = buffer;
    }
    return bytes;
  } catch (error) {
    // Node.js gives both a code, the runtime none. The second is zstd's.
    return error instanceof RangeError || /too much memory/.test(error.message) ? null : undefined;
  }
}

// The runtime's, when it is first needed. Not imported: that bundlers would have to be told.
let zlib;

const DECODERS = {
  gzip: (bytes, options) => zlib.gunzipSync(bytes, options),
  deflate: inflate,
  br: (bytes, options) => zlib.brotliDecompressSync(bytes, options),
  // A window of 8 MiB, as RFC 9659 has it: a frame may ask for gigabytes.
  zstd: (bytes, options) => zlib.zstdDecompressSync(bytes, { ...options, params: { [zlib.constants.ZSTD_d_windowLogMax]: 23 } }),
};

// A zlib stream, or without its head as some senders have it.
function inflate(bytes, options) {
  const [method, flags] = bytes;
  const hasHead = (method & 15) === 8 && ((method << 8) | flags) % 31 === 0;
  return (hasHead ? zlib.inflateSync : zlib.inflateRawSync)(bytes, options);
}
