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
export async function read(request, limit) {
  if (!request.body) return new Uint8Array(0);
  const declared = request.headers.get("content-length") ?? "";
  if (!/^\d+$/.test(declared)) {
    const reader = request.body.getReader();
    const whole = await gather(reader, limit);
    if (!whole) await discard(reader);
    return whole;
  }
  if (Number(declared) > limit) return null;
  // Without a reader in between; what arrives is still measured, whatever was declared.
  const bytes = new Uint8Array(await request.arrayBuffer());
  return bytes.length > limit ? null : bytes;
}

// Reads what of a request nobody has read.
export async function drain(request) {
  await discard(request.body.getReader());
}

// Decodes gzip with the platform's own decoder, never past `limit` bytes. Null for what
// is not gzip, is cut short or is longer.
export async function gunzip(bytes, limit) {
  try {
    const reader = new Response(bytes).body.pipeThrough(new DecompressionStream("gzip")).getReader();
    const whole = await gather(reader, limit);
    if (!whole) await reader.cancel();
    return whole;
  } catch {
    return null;
  }
}
