// What the runtime calls: requests, and the hourly round. Plain functions, not the SDK's
// class: one of those would be made for every request.

import { head } from "./http.js";
import { ahead, checkReinitialize, fetch, handleMaybeCritical, read, scheduled } from "station";

export { Mailbox, Registry } from "station";

// What is known of a body when Rust is called, as in src/body.rs.
const UNREAD = 0, WHOLE = 1, TOO_LARGE = 2, BROKEN_OFF = 3;

// Calls into Rust. A panic there has the next call begin with a fresh instance.
function guarded(exported, ...given) {
  checkReinitialize();
  try {
    return exported(...given);
  } catch (error) {
    handleMaybeCritical(error);
    throw error;
  }
}

export default {
  // A body that will be wanted, by all that is known without asking anybody, is read
  // first: then a request whose answer takes nobody else needs no promise of Rust's.
  fetch(request, env, context) {
    const came = Date.now();
    const { lines, method, url, length, hops } = head(request);
    const answer = (body, known) => guarded(fetch, request, env, context, lines, body, known, came);
    const limit = guarded(ahead, env, method, url, hops);
    if (limit === 0) return answer(undefined, UNREAD);
    return read(request, limit, length).then(
      (body) => (body ? answer(body, WHOLE) : answer(undefined, TOO_LARGE)),
      () => answer(undefined, BROKEN_OFF),
    );
  },
  scheduled: (event, env, context) => guarded(scheduled, event, env, context),
};
