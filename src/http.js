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

// Answers that are alike in all but their bodies, by their heads, without any: it is
// quicker to make one more after another than to name each of its header fields again.
const alike = new Map();
const MOST_ALIKE = 100;
const encoder = new TextEncoder();

function like(head) {
  const known = alike.get(head);
  if (known) return known;
  const [status, ...lines] = head.split("\n");
  const headers = new Headers();
  append(headers, lines);
  const one = { answer: new Response(null, { status: Number(status), headers }), typed: headers.has("content-type") };
  if (alike.size >= MOST_ALIKE) alike.clear();
  alike.set(head, one);
  return one;
}

function append(headers, lines) {
  for (let at = 1; at < lines.length; at += 2) headers.append(lines[at - 1], lines[at]);
}

// An answer: its status and header fields, a line each; the fields that no other answer
// has, likewise; its body. Without one where that is empty: 204 and 205 may not carry one.
export function respond(head, own, body) {
  const { answer, typed } = like(head);
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
