// What the runtime calls: requests, the hourly round, and the objects. Plain functions and
// classes, not the SDK's: of those one is made for every request, and all are behind
// proxies that make another for every call.

import { head } from "./http.js";
import * as rust from "station";

// What is known of a body when Rust is called, as in src/body.rs.
const UNREAD = 0, WHOLE = 1, TOO_LARGE = 2, BROKEN_OFF = 3;

// Calls into Rust. A panic there has the next call begin with a fresh instance.
function guarded(call) {
  rust.checkReinitialize();
  try {
    return call();
  } catch (error) {
    rust.handleMaybeCritical(error);
    throw error;
  }
}

export default {
  // A body that will be wanted, by all that is known without asking anybody, is read
  // first: then a request whose answer takes nobody else needs no promise of Rust's.
  fetch(request, env, context) {
    const came = Date.now();
    const { lines, method, url, length, hops } = head(request);
    const answer = (body, known) => guarded(() => rust.fetch(request, env, context, lines, body, known, came));
    const limit = guarded(() => rust.ahead(env, method, url, hops));
    if (limit === 0) return answer(undefined, UNREAD);
    return rust.readFor(
      request,
      limit,
      length,
      (body) => (body ? answer(body, WHOLE) : answer(undefined, TOO_LARGE)),
      () => answer(undefined, BROKEN_OFF),
    );
  },
  scheduled: (event, env, context) => guarded(() => rust.scheduled(event, env, context)),
};

// A class whose objects outlive an instance of Rust's: each is made anew in the next.
function lasting(Made) {
  return class {
    constructor(...given) {
      this.given = given;
      this.living();
    }
    living() {
      rust.checkReinitialize();
      if (this.instance !== rust.initState.instanceId) {
        try {
          this.made = new Made(...this.given);
        } catch (error) {
          rust.initState.criticalError = true;
          throw error;
        }
        this.instance = rust.initState.instanceId;
      }
      return this.made;
    }
    // The message is read first: then one that is answered without waiting for anything
    // needs no promise of Rust's.
    async fetch(request) {
      const { url } = request;
      const bytes = new Uint8Array(await request.arrayBuffer());
      return guarded(() => this.living().fetch(url, bytes));
    }
    alarm() {
      return guarded(() => this.living().alarm());
    }
  };
}

export const Mailbox = lasting(rust.Mailbox);
export const Registry = lasting(rust.Registry);
