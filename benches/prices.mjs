// Cloudflare's list prices, and what a million events come to at them. The one
// place where prices stand.
//
// Source: https://developers.cloudflare.com/workers/platform/pricing/ and
// https://developers.cloudflare.com/durable-objects/platform/pricing/ (Workers
// Paid, beyond what is included), as they stood in November 2026.

export const AS_OF = 'November 2026'

/** US$ for one of each. */
export const PRICES = {
  worker_requests: 0.3e-6,
  /** To Mailboxes. */
  object_requests: 0.15e-6,
  registry_requests: 0.15e-6,
  /** An alarm that fires is a request to its object. */
  alarms_fired: 0.15e-6,
  rows_read: 0.001e-6,
  rows_written: 1e-6,
  /** Each is a row written. */
  alarms_set: 1e-6,
  kv_reads: 0.5e-6,
  kv_writes: 5e-6,
  kv_deletes: 5e-6,
  /** Subrequests to the internet cost nothing by themselves. */
  fetches: 0,
  cpu_ms: 0.02e-6,
  gigabyte_seconds: 12.5e-6,
  gigabyte_months: 0.2,
}

/** What an object is billed as, whatever it uses. */
export const OBJECT_GIGABYTES = 0.128

/** US$ for a million of what `counts` holds for one. */
export function perMillion(counts) {
  const dollars = Object.entries(counts).map(([name, count]) => {
    if (!(name in PRICES)) throw new Error(`no price for ${name}`)
    return count * PRICES[name] * 1e6
  })
  return dollars.reduce((sum, each) => sum + each, 0)
}
