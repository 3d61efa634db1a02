// One request to an origin, with one time-out in milliseconds for all of it; of the body
// of the answer at most `limit` bytes are read. `lines` are the names and values of its
// header fields.
//
// Resolves to an object: `failure` is why there is no answer or no end of its body, `late`
// that it is the time-out. Once there is a `status`, either ends the body and not the
// answer: what a body without an end means is not decided here.
export async function exchange(method, url, lines, sent, timeout, limit) {
  const answer = { status: 0, retryAfter: undefined, body: new Uint8Array(limit), late: false, failure: undefined };
  let length = 0;
  const abort = new AbortController();
  let timer;
  const time = new Promise((_, reject) => {
    timer = setTimeout(() => {
      answer.late = true;
      reject();
    }, timeout);
  });
  try {
    const headers = new Headers();
    const fields = lines.split("\n");
    for (let at = 1; at < fields.length; at += 2) headers.append(fields[at - 1], fields[at]);
    const request = { method, headers, body: sent, redirect: "manual", signal: abort.signal };
    const response = await Promise.race([fetch(url, request), time]);
    answer.status = response.status;
    answer.retryAfter = response.headers.get("retry-after") ?? undefined;
    const reader = response.body?.getReader();
    // Once it is full no end is waited for.
    while (reader && length < limit) {
      const { done, value } = await Promise.race([reader.read(), time]);
      if (done) break;
      const wanted = value.subarray(0, limit - length);
      answer.body.set(wanted, length);
      length += wanted.length;
    }
  } catch (error) {
    answer.failure = String(error);
  }
  clearTimeout(timer);
  // Whatever of the answer is unread is not wanted: free the connection.
  abort.abort();
  answer.body = answer.body.subarray(0, length);
  return answer;
}
