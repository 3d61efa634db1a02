// Sends `bytes` to an object. Resolves to the bytes it answers with, or to its status
// where that is not 200. Where the platform marks an error as one that a second call may
// cure, there is one; an overloaded object must not be called again.
export async function call(env, binding, name, path, bytes) {
  const send = () =>
    // A stub that has failed stays broken: each try takes a new one.
    env[binding].getByName(name).fetch("https://object" + path, { method: "POST", body: bytes });
  let response;
  try {
    response = await send();
  } catch (error) {
    if (error?.retryable !== true || error.overloaded === true) throw error;
    response = await send();
  }
  return response.status === 200 ? new Uint8Array(await response.arrayBuffer()) : response.status;
}

// The same, with a glance at KV beside it: resolves to null when `value` is found under
// `key` before the object has answered. A KV that is slow, fails or is absent changes
// nothing.
export function callBeside(env, name, path, bytes, key, value) {
  const called = call(env, "MAILBOX", name, path, bytes);
  if (!env.KV) return called;
  // Nobody may be listening any more when it fails.
  called.catch(() => {});
  const instead = () => called;
  const look = async () => ((await env.KV.get(key)) === value ? null : called);
  return Promise.race([called, look().catch(instead)]);
}
