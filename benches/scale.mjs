// The model behind docs/scale.md: what three stations come to, from the meter's
// counts, the list prices and a few measured figures. `npm run bench -- costs`
// writes the figures into the document, and the guards fail when they are stale.

import { readFileSync } from 'node:fs'
import path from 'node:path'
import { ROOT } from '../scripts/process.mjs'
import { agree, section, write } from './costs.mjs'
import { OBJECT_GIGABYTES, PRICES, perMillion } from './prices.mjs'

const DOCUMENT = path.join(ROOT, 'docs/scale.md')

/** Attempts that one shard makes at once. */
export const SLOTS = 6
/** What Cloudflare says of one object, softly. */
const OBJECT_REQUESTS_PER_SECOND = 1_000
const OBJECT_BYTES = 10e9
/** A delivered event of 2 KB on disk, and what is left of it when its payload is gone (measured in core/src/mailbox/tests/room.rs). */
const EVENT_BYTES = 4_206
const KEY_BYTES = 700
/** Rows that its end costs: two for the payload, one for the key (counted in tests/tests/sql_suite.rs). */
const PRUNING_ROWS = 3
/** Where keys outlast payloads by fewer days, the room stays taken, and that row is spared (core/src/mailbox/prune.rs). */
const WORTH_DAYS = 45
/** CPU of the Worker and its object for an event, its delivery included (measured, rounded up). */
const CPU_MS = 2
const MOST_SHARDS = 64
const DAY = 86_400
const MONTH = 30 * DAY
/** Until the destination has answered. */
const ORIGIN_SECONDS = 0.2

/** Who runs it. `mix`: of 1 event, how many come how; `beside`: requests beside each event. */
export const STATIONS = {
  shop: {
    name: 'one shop',
    webhooks: 1,
    shards: 1,
    per_second: 3_000 / DAY,
    peak: 1,
    retention_days: 30,
    dedupe_days: 400,
    mix: { alone: 0.98, third: 0.02 },
    beside: { duplicate: 0.02, refused: 0.1 },
  },
  platform: {
    name: 'a platform with 1,000 webhooks',
    webhooks: 1_000,
    shards: 1,
    per_second: 2_000_000 / DAY,
    peak: 10,
    retention_days: 30,
    dedupe_days: 400,
    mix: { alone: 0.7, load: 0.28, third: 0.02 },
    beside: { duplicate: 0.02, refused: 0.1, filtered: 0.1 },
  },
  world: {
    name: '10,000 events/s worldwide',
    webhooks: 24,
    shards: 64,
    per_second: 10_000,
    peak: 10_000,
    retention_days: 3,
    dedupe_days: 4,
    mix: { load: 0.98, third: 0.02 },
    beside: { duplicate: 0.02, refused: 0.1 },
  },
}

/** How many deliveries a second so many shards of a webhook make to a server that takes so long. */
export const deliveriesPerSecond = (shards, seconds) => (shards * SLOTS) / seconds

/** Objects' time of an event in gigabyte seconds: its attempts, shared where deliveries run together. */
function gigabyteSeconds(key) {
  const share = { alone: 1, load: 1 / SLOTS, third: 3 }[key] ?? 0
  return share * ORIGIN_SECONDS * OBJECT_GIGABYTES
}

/** One station by the month. */
export function model(station, counts) {
  const events = station.per_second * MONTH
  const dollars = (parts) => (Object.entries(parts).reduce((all, [key, share]) => all + share * perMillion(counts[key]), 0) * events) / 1e6
  const rows = (key) => (counts[key].rows_written ?? 0) + (counts[key].alarms_set ?? 0)
  const rowsPerEvent = Object.entries(station.mix).reduce((all, [key, share]) => all + share * rows(key), 0)
  const time = Object.entries(station.mix).reduce((all, [key, share]) => all + share * gigabyteSeconds(key), 0)
  const days = station.dedupe_days - station.retention_days
  const [keyBytes, pruningRows] = days >= WORTH_DAYS ? [KEY_BYTES, PRUNING_ROWS] : [EVENT_BYTES, PRUNING_ROWS - 1]
  const bytes = station.per_second * DAY * (station.retention_days * EVENT_BYTES + days * keyBytes)
  const bill = {
    'events, relayed': dollars(station.mix),
    'duplicates, forgeries, filtered': dollars(station.beside),
    'pruning': events * pruningRows * PRICES.rows_written,
    'CPU': events * CPU_MS * PRICES.cpu_ms,
    "objects' time": events * time * PRICES.gigabyte_seconds,
    'storage': (bytes / 1e9) * PRICES.gigabyte_months,
  }
  return {
    events,
    shards: station.webhooks * station.shards,
    rows_per_event: rowsPerEvent + pruningRows,
    rows_per_second: station.per_second * (rowsPerEvent + pruningRows),
    gigabytes: bytes / 1e9,
    gigabytes_per_shard: bytes / 1e9 / (station.webhooks * station.shards),
    needed: {
      delivering: Math.ceil((station.peak * ORIGIN_SECONDS) / SLOTS),
      accepting: Math.ceil(station.peak / OBJECT_REQUESTS_PER_SECOND),
      storing: Math.ceil(bytes / OBJECT_BYTES),
    },
    bill,
    dollars: Object.values(bill).reduce((all, each) => all + each, 0),
  }
}

const big = (value) => (value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toFixed(2))

/** The tables of the document. */
export function tables(counts) {
  const stations = Object.values(STATIONS)
  const models = stations.map((station) => model(station, counts))
  const line = (cells) => `| ${cells.join(' | ')} |`
  const row = (name, value) => line([name, ...models.map((each, at) => value(each, stations[at]))])
  const bill = Object.keys(models[0].bill)
  return [
    line(['', ...stations.map(({ name }) => name)]),
    line(['---', ...stations.map(() => '---:')]),
    row('webhooks × shards', (_, s) => `${s.webhooks.toLocaleString('en-US')} × ${s.shards}`),
    row('objects', (m) => m.shards.toLocaleString('en-US')),
    row('events a second, on average', (_, s) => (s.per_second < 1 ? s.per_second.toFixed(3) : big(s.per_second))),
    row('events a month', (m) => big(m.events)),
    row('kept: payloads, keys (days)', (_, s) => `${s.retention_days}, ${s.dedupe_days}`),
    row('rows written per event, its end included', (m) => big(m.rows_per_event)),
    row('rows written a second', (m) => big(m.rows_per_second)),
    row('stored in all, GB', (m) => big(m.gigabytes)),
    row('stored in a shard, GB (limit: 10)', (m) => big(m.gigabytes_per_shard)),
    row('shards that the peak needs to deliver', (m) => m.needed.delivering.toLocaleString('en-US')),
    row('shards that the peak needs to accept', (m) => m.needed.accepting.toLocaleString('en-US')),
    row('shards that storage needs', (m) => m.needed.storing.toLocaleString('en-US')),
    ...bill.map((item) => row(`US$ a month: ${item}`, (m) => big(m.bill[item]))),
    row('**US$ a month**', (m) => `**${big(m.dollars)}**`),
    row('US$ per million events', (m) => big((m.dollars / m.events) * 1e6)),
  ].join('\n')
}

export const writeDocument = (counts) => write(DOCUMENT, 'scale', tables(counts))

/** Null, or why the document's figures are not what the model says now. */
export function stale(counts) {
  const shown = section(readFileSync(DOCUMENT, 'utf8'), 'scale').text
  return agree(shown, tables(counts)) ? null : `docs/scale.md's figures are not what the model says now: npm run bench -- costs\n${tables(counts)}`
}

/** What has to be so of each station, or the document promises too much. */
export function impossible(counts) {
  return Object.values(STATIONS).flatMap((station) => {
    const { needed, shards } = model(station, counts)
    const most = Math.max(...Object.values(needed))
    return [...(most > shards ? [`${station.name} needs ${most} shards and has ${shards}`] : []), ...(station.shards > MOST_SHARDS ? [`${station.name}: ${station.shards} shards`] : [])]
  })
}
