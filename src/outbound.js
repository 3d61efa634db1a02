// One request to an origin, with one time-out in milliseconds for all of it; of the body
// of a 2xx answer that may be a JSON object at most `limit` bytes are read, of any other
// at most `kept`: nothing beyond is looked at, and its end may never come. `lines` are the
// names and values of its header fields.
//
// Resolves to an object: `failure` is why there is no answer or no end of its body, `late`
// that it is the time-out. Once there is a `status`, either ends the body and not the
// answer: what a body without an end means is not decided here.
export async function exchange(method, url, lines, sent, timeout, limit, kept) {
  const answer = { status: 0, retryAfter: undefined, body: nothing, late: false, failure: undefined };
  const abort = new AbortController();
  const timer = setTimeout(() => {
    answer.late = true;
    abort.abort();
  }, timeout);
  let unread = true;
  try {
    // Pairs, and an object, cost the runtime more to read.
    const headers = new Headers();
    const fields = lines.split("\n");
    for (let at = 1; at < fields.length; at += 2) headers.append(fields[at - 1], fields[at]);
    const response = await fetch(url, { method, headers, body: sent, redirect: "manual", signal: abort.signal });
    answer.status = response.status;
    const field = (name) => response.headers.get(name) ?? undefined;
    answer.retryAfter = field("retry-after");
    // Where the body's length is known its end is not waited for, nor once it is full. Where
    // there are chunks they alone say it.
    const length = field("content-encoding") || field("transfer-encoding") ? NaN : Number(field("content-length"));
    const reader = length === 0 ? undefined : response.body?.getReader();
    unread = reader !== undefined;
    const most = () => (response.ok && mayBeObject(answer.body) ? limit : kept);
    while (unread && answer.body.length < most()) {
      const { done, value } = await reader.read();
      if (!done) answer.body = together(answer.body, value);
      answer.body = answer.body.subarray(0, most());
      unread = !done && answer.body.length !== length;
    }
  } catch (error) {
    answer.failure = String(error);
  }
  clearTimeout(timer);
  // Whatever of the answer is unread is not wanted: free the connection.
  if (unread) abort.abort();
  return answer;
}

const nothing = new Uint8Array(0);

// Whether what begins so may be a JSON object, also behind a byte order mark.
function mayBeObject(body) {
  let at = body[0] === 0xef ? 3 : 0;
  while (body[at] <= 0x20) at++;
  return at >= body.length || body[at] === 0x7b;
}

function together(before, more) {
  if (before.length === 0) return more;
  const all = new Uint8Array(before.length + more.length);
  all.set(before);
  all.set(more, before.length);
  return all;
}
