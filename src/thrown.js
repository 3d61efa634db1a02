// What JavaScript has thrown, in words.
export function told(thrown) {
  if (typeof thrown === "string") return thrown;
  if (!(thrown instanceof Error)) return `unrecognized JavaScript value: ${typeof thrown}`;
  const code = typeof thrown.code === "string" ? ` [${thrown.code}]` : "";
  return `${thrown.name}${code}: ${thrown.message}`;
}
