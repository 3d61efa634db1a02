// Requests and answers, each crossing between Rust and JavaScript once.

// The method, the URL, and names and values of the header fields, a line each: none of
// them can hold a line end.
export function head(request) {
  let lines = `${request.method}\n${request.url}`;
  for (const [name, value] of request.headers) lines += `\n${name}\n${value}`;
  return lines;
}

// An answer; its header fields as names and values, a line each. Without a body where
// that is empty: 204 and 205 may not carry one.
export function respond(status, lines, body) {
  const headers = [];
  const parts = lines.split("\n");
  for (let at = 1; at < parts.length; at += 2) headers.push([parts[at - 1], parts[at]]);
  // A copy: what is behind `body` is Rust's, and moves.
  return new Response(body.length ? body.slice() : null, { status, headers });
}
