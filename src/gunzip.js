// Decodes gzip with the platform's own decoder, never past `limit` bytes.
// Returns null for what is not gzip, is cut short or is longer.
export async function gunzip(bytes, limit) {
  try {
    const reader = new Response(bytes).body
      .pipeThrough(new DecompressionStream("gzip"))
      .getReader();
    const chunks = [];
    let length = 0;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      length += value.length;
      if (length > limit) {
        await reader.cancel();
        return null;
      }
      chunks.push(value);
    }
    const whole = new Uint8Array(length);
    let at = 0;
    for (const chunk of chunks) {
      whole.set(chunk, at);
      at += chunk.length;
    }
    return whole;
  } catch {
    return null;
  }
}
