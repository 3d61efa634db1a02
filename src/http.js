// Requests and answers, each crossing between Rust and JavaScript once.

// The head of a request: its method, its URL, and names and values of its header fields, a
// line each: none of them can hold a line end. Beside these, what is asked of it first.
export function head(request) {
  const { method, url } = request;
  let lines = `${method}\n${url}`;
  let length = "", hops;
  request.headers.forEach((value, name) => {
    lines += `\n${name}\n${value}`;
    if (name === "content-length") length = value;
    else if (name === "x-tram-hops") hops = value;
  });
  return { lines, method, url, length, hops };
}

const encoder = new TextEncoder();

// What answers are made after that are alike in all but their bodies, and in the fields
// that are each one's own: it is quicker than to name each of the others again. `head` is
// their status and header fields, a line each.
export function like(head) {
  const [status, ...lines] = head.split("\n");
  const headers = new Headers();
  append(headers, lines);
  return { answer: new Response(null, { status: Number(status), headers }), typed: headers.has("content-type") };
}

function append(headers, lines) {
  for (let at = 1; at < lines.length; at += 2) headers.append(lines[at - 1], lines[at]);
}

// An answer. Without a body where that is empty: 204 and 205 may not carry one.
export function respond({ answer, typed }, own, body) {
  // Of a text that is not said to be something, the runtime would say that it is one.
  const response = new Response(body === "" ? null : typed ? body : encoder.encode(body), answer);
  if (own !== "") append(response.headers, own.split("\n"));
  return response;
}

// An object's answer to a message: bytes, or that it failed.
export function message(status, bytes) {
  // A copy: what is behind `bytes` is Rust's, and moves.
  return new Response(bytes.slice(), { status });
}
