// `npm run bench`: everything that is measured on the runtime, in one go; under
// ten minutes, also on a slow machine. Prints tables and writes them, with machine, versions and commit,
// between the markers in benches/RESULTS.md.
//
//   npm run bench               all of it
//   npm run bench -- quick      shorter blocks, nothing is written: to try it out
//   npm run bench -- costs      counts what an event costs; writes README and docs/scale.md
//
// One raw workerd with Durable Objects on disk (below TMPDIR), a stand-in for KV (a JavaScript
// Worker with a map) in the same process, load and origin in another. Floors and
// station take turns in short blocks within one run; a figure is the median of its
// blocks and a ratio the median of the ratios of neighbouring blocks.

import { readFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { build } from '../scripts/build.mjs'
import { Advice, ROOT, capture, main, say, seconds } from '../scripts/process.mjs'
import { ensureTools } from '../scripts/tools.mjs'
import { costs, write, writeReadme } from './costs.mjs'
import { floors } from './floors.mjs'
import { sizeKib } from './guards.mjs'
import { startLoad } from './load.mjs'
import { measureAll, wrapper } from './meter.mjs'
import { FORGED, SECRET, openStation } from './bench-station.mjs'
import { perMillion } from './prices.mjs'
import { deliveriesPerSecond, impossible, writeDocument } from './scale.mjs'

const ROUNDS = 3
/** On a slow machine less is sent, and said so, rather than that it takes longer: in ms. */
const LONGEST = { filling: 120_000, sending: 5_000, arriving: 8_000 }
const FULL = { block: 1_500, warm: 3_000, pending: 100_000, rate: 6_000 }
const QUICK = { block: 400, warm: 500, pending: 3_000, rate: 1_500 }

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
const ms = (value) => `${value.toFixed(value < 9.95 ? 2 : 1)} ms`
/** Only Linux tells what another process spends. */
const cpu = (us) => (Number.isNaN(us) ? '' : `${Math.round(us).toLocaleString('en-US')} µs`)
const rate = (value) => `${Math.round(value).toLocaleString('en-US')}/s`
const markdown = (head, rows) => {
  const line = (cells) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map((_, at) => (at === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n')
}

/** Collected on the way: `{ what, target, found, met }`. */
const targets = []
const target = (what, wanted, found, met) => targets.push({ what, wanted, found, met })

/** Floors and station in turn, block by block, at so many connections. */
async function ingest(station, load, { block }) {
  const rows = []
  for (const connections of [1, 16, 64]) {
    const blocks = {}
    const note = (name, fired) => (blocks[name] ??= []).push(fired)
    for (let round = 0; round < ROUNDS; round++) {
      for (const name of ['answer', 'hmac', 'row', 'glance']) {
        const order = name === 'hmac' ? { ...FORGED, answer: '401' } : {}
        note(name, await station.fire(name, [`/floor-${connections}-${round}`], { connections, millis: block, ...order }))
      }
      for (const shards of [1, 4, 16]) {
        // Relaying is held, so that it is accepting that is measured; a new webhook, as the floor has a new object.
        const webhook = await station.webhook({ shards, held: true })
        note(`tram, ${shards} ${shards === 1 ? 'shard' : 'shards'}`, await station.fire('tram', [webhook.path], { connections, millis: block }))
        await webhook.remove()
      }
      const webhook = await station.webhook({ held: true })
      // Of the first of every ten seconds it is found out why they are none: a sample, and not what a flood costs.
      await station.fire('tram', [webhook.path], { connections, count: 200, ...FORGED })
      note('tram, forgeries', await station.fire('tram', [webhook.path], { connections, millis: block, ...FORGED }))
      await webhook.remove()
    }
    const ratio = (name, floor, value) => median(blocks[name].map((one, at) => value(one) / value(blocks[floor][at])))
    for (const [name, all] of Object.entries(blocks)) {
      const beside = { 'tram, forgeries': 'hmac' }[name] ?? (name.startsWith('tram') ? 'row' : null)
      rows.push([
        name,
        connections,
        rate(median(all.map((one) => one.per_second))),
        ms(median(all.map((one) => one.latency.p50))),
        ms(median(all.map((one) => one.latency.p99))),
        cpu(median(all.map((one) => one.cpu_us))),
        beside ? `${ratio(name, beside, (one) => one.per_second).toFixed(2)} of ${beside}` : '',
        beside && !Number.isNaN(all[0].cpu_us) ? `× ${ratio(name, beside, (one) => one.cpu_us).toFixed(2)}` : '',
      ])
    }
    if (connections === 64) {
      const accept = ratio('tram, 1 shard', 'row', (one) => one.per_second)
      target('accept rate at 64 connections, one shard, beside the one-row floor', '≥ 0.85', accept.toFixed(2), accept >= 0.85)
      const forged = ratio('tram, forgeries', 'hmac', (one) => one.per_second)
      target('refused forgeries beside the WebCrypto floor', '≥ 0.8', forged.toFixed(2), forged >= 0.8)
    }
    if (connections === 1) {
      const added = median(blocks['tram, 1 shard'].map((one, at) => one.latency.p50 - blocks.row[at].latency.p50))
      target('added latency at one connection, p50', '≤ 1.5 ms', ms(added), added <= 1.5)
    }
  }
  return `### Accepting

Closed loops; relaying is held. *answer*: a JavaScript Worker that reads the request and answers. *hmac*: one that checks the same signature by WebCrypto and refuses it, as *forgeries* are refused. *row*: a JavaScript Durable Object that inserts one row and answers.
*glance*: the same with a look at KV beside it, as the station has: what the stand-in for KV takes of the same thread. *CPU* is workerd's, all threads, for one request. Where the disk decides, rates say little and CPU still does.

${markdown(['', 'connections', 'rate', 'p50', 'p99', 'CPU', 'ratio', 'of CPU'], rows)}`
}

/** From the sender's first byte to the origin, at a rate that leaves room. */
async function relaying(station, load, { block, rate: span }) {
  const rows = []
  const runs = []
  for (let round = 0; round < ROUNDS; round++) {
    const webhook = await station.webhook({})
    const fired = await station.fire('tram', [webhook.path], { connections: 8, per_second: 100, count: Math.round(span / 10 / ROUNDS), millis: LONGEST.sending })
    runs.push(await load.arrivals(fired.first, fired.sent, LONGEST.arriving))
    await webhook.remove()
  }
  const [p50, p99] = ['p50', 'p99'].map((q) => median(runs.map((run) => run.since_sent[q] ?? Infinity)))
  rows.push(['100 events/s, 1 shard, from sending it to its arrival', `p50 ${ms(p50)}, p99 ${ms(p99)}`, '', '', '', ''])
  target('from sending to the origin at 100 events/s, p50', '≤ 10 ms', ms(p50), p50 <= 10)
  target('from sending to the origin at 100 events/s, p99', '≤ 40 ms', ms(p99), p99 <= 40)

  const middle = (runs) => [rate(median(runs.map((run) => run.rate))), cpu(median(runs.map((run) => run.cpu)))]
  const beside = (runs, floor) => {
    const ratio = (value) => median(runs.map((run, at) => value(run) / value(floor[at])))
    const ofCpu = ratio((run) => run.cpu)
    return [ratio((run) => run.rate).toFixed(2), Number.isNaN(ofCpu) ? '' : `× ${ofCpu.toFixed(2)}`]
  }
  const many = (shards) => `${shards} ${shards === 1 ? 'shard' : 'shards'}`
  /** From `before` on, until all that was fired has arrived. */
  const arriving = async ({ first, sent }, before) => {
    const { arrived, seconds } = await load.arrivals(first, sent, LONGEST.arriving)
    return { rate: arrived / seconds, cpu: (station.spent() - before) / arrived }
  }

  // Deliveries that keep up: closed loops, until all has arrived.
  for (const [shards, delay] of [[1, 0], [16, 0], [1, 200], [16, 200]]) {
    await load.origin({ delay_ms: delay })
    const [runs, floor] = [[], []]
    for (let round = 0; round < ROUNDS; round++) {
      // What a server of 200 ms takes in four seconds; as much as a block brings to one that answers at once.
      const order = delay ? { count: Math.min(1_500, 4 * deliveriesPerSecond(shards, delay / 1_000)), millis: LONGEST.sending } : { millis: block }
      const sustain = async (name, path) => {
        const before = station.spent()
        return arriving(await station.fire(name, [path], { connections: 32, ...order }), before)
      }
      if (!delay) floor.push(await sustain('relay', `/accepting-${round}/${shards}`))
      const webhook = await station.webhook({ shards })
      runs.push(await sustain('tram', webhook.path))
      await webhook.remove()
    }
    const what = `sustained deliveries while accepting, ${many(shards)}, a server that answers`
    if (delay) {
      rows.push([`${what} after ${delay} ms`, middle(runs)[0], '', '', '', rate(deliveriesPerSecond(shards, delay / 1_000))])
      continue
    }
    rows.push([`*relay*: the same, ${many(shards)}`, ...middle(floor), '', '', ''])
    rows.push([`${what} at once`, ...middle(runs), ...beside(runs, floor), 'the machine decides'])
    const found = median(runs.map((run) => run.rate))
    if (shards === 16) target('sustained deliveries over 16 shards, instant origin', '≥ 1,000/s', rate(found), found >= 1_000)
  }
  await load.origin({})

  // What has been stored goes out, and nothing is accepted meanwhile.
  const [drained, floor] = [[], []]
  for (let round = 0; round < ROUNDS; round++) {
    const drain = async (name, path, letGo) => {
      const stored = await station.fire(name, [path], { connections: 32, millis: block })
      const before = station.spent()
      await letGo()
      return arriving(stored, before)
    }
    floor.push(await drain('relay', `/stored-${round}/16/held`, () => station.ask('relay', `/stored-${round}/16/go`)))
    const webhook = await station.webhook({ shards: 16, held: true })
    drained.push(await drain('tram', webhook.path, webhook.letGo))
    await webhook.remove()
  }
  rows.push(['*relay*: what was stored, 16 shards', ...middle(floor), '', '', ''])
  rows.push(['deliveries of what was stored, nothing accepted meanwhile, 16 shards, a server that answers at once', ...middle(drained), ...beside(drained, floor), 'the machine decides'])
  return `### Relaying

*relay*: JavaScript Durable Objects that insert one row and answer, then send it to the origin, six at once, and write down that it was taken: no proof, no duplicates, no alarm, no signature, no log. *CPU* is workerd's for one event, accepted and delivered; where what was stored goes out, delivered alone.

${markdown(['', 'measured', 'CPU', 'of *relay*', 'of its CPU', 'the model says'], rows)}`
}

/** What comes again, and what was forged, is answered without waking anybody. */
async function repeats(station, load, { block }) {
  const rows = []
  for (const markers of [true, false]) {
    const rates = []
    for (let round = 0; round < ROUNDS; round++) {
      // Only of a delivered event a marker is written.
      const webhook = await station.webhook({ held: !markers })
      const fired = await station.fire('tram', [webhook.path], { connections: 8, count: 50 })
      if (markers) await load.arrivals(fired.first, fired.sent, LONGEST.arriving)
      await new Promise((resolve) => setTimeout(resolve, 500))
      const again = { first: fired.first, distinct: 50, connections: 64, answer: '200 duplicate' }
      await station.fire('tram', [webhook.path], { ...again, count: 200 })
      const flood = await station.fire('tram', [webhook.path], { ...again, millis: block })
      rates.push(flood.per_second)
      await webhook.remove()
    }
    rows.push([`duplicates at 64 connections, ${markers ? 'of delivered events, with markers in KV' : 'of events that are pending yet: each asks the Mailbox'}`, rate(median(rates))])
  }
  return `### Repeats

${markdown(['', 'rate'], rows)}`
}

/** A large Mailbox: does it accept as fast, and is its history as quick to read? */
async function backlog(station, load, { pending, block }) {
  const rows = []
  const empty = []
  const full = []
  const webhook = await station.webhook({ held: true })
  const burst = (path) => station.fire('tram', [path], { connections: 64, millis: block })
  await burst(webhook.path)
  const before = await station.probe()
  const { sent } = await station.fire('tram', [webhook.path], { connections: 64, count: pending, millis: LONGEST.filling })
  const after = await station.probe()
  // In turn with a webhook that is empty, so that the machine's moods are both's.
  for (let round = 0; round < ROUNDS; round++) {
    const other = await station.webhook({ held: true })
    empty.push((await burst(other.path)).per_second)
    await other.remove()
    full.push((await burst(webhook.path)).per_second)
  }
  const ratio = median(full.map((one, at) => one / empty[at]))
  const events = sent.toLocaleString('en-US')
  rows.push([`accept rate at 64 connections, one shard: with ${events} pending; empty`, `${rate(median(full))}; ${rate(median(empty))} (${ratio.toFixed(2)})`])
  target(`accept rate with ${events} pending beside an empty one`, '≥ 0.9', ratio.toFixed(2), ratio >= 0.9)
  const pages = []
  for (let n = 0; n < 15; n++) pages.push(await station.timed(`/api/v1/events?webhook_id=${webhook.id}&per_page=100`))
  rows.push([`a page of 100 of ${events} events`, ms(median(pages))])
  const search = []
  for (let n = 0; n < 3; n++) search.push(await station.timed(`/api/v1/events?webhook_id=${webhook.id}&status=failed`))
  rows.push([`a page of those that failed: none`, ms(median(search))])
  const mib = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`
  rows.push([`wasm memory before; after ${events} events`, `${mib(before.wasm_bytes)}; ${mib(after.wasm_bytes)}`])
  rows.push([`workerd's memory (resident) before; after`, `${mib(before.resident)}; ${mib(after.resident)}`])
  const grown = after.wasm_bytes - before.wasm_bytes
  target(`wasm memory flat over ${events} events`, '≤ 1 MiB more', mib(grown), grown <= 2 ** 20)
  return `### A large Mailbox

${markdown(['', ''], rows)}`
}

/** From the start of the process to its first answers. */
async function coldStart(load) {
  const starts = []
  for (let n = 0; n < 5; n++) {
    const began = performance.now()
    const station = await openStation({ load })
    const up = performance.now() - began
    const first = await station.timed('/api/v1/webhooks')
    starts.push([up, first])
    await station.stop()
  }
  const rows = [
    ['workerd started to `/healthz` answered, the wasm compiled (asked every 5 ms)', ms(median(starts.map(([up]) => up)))],
    ['the first request to the Registry, its schema made', ms(median(starts.map(([, first]) => first)))],
  ]
  return `### Cold start

${markdown(['', ''], rows)}`
}

async function size() {
  const kib = sizeKib()
  target('wasm and script, gzip', '≤ 300 KB', `${((kib * 1024) / 1000).toFixed(1)} KB (${kib.toFixed(1)} KiB)`, kib * 1024 <= 300_000)
  return `### Size

Wasm and script as they are deployed: ${kib.toFixed(1)} KiB gzip.`
}

async function counted() {
  const all = await measureAll()
  const { load } = all
  const rows = load.rows_written + (load.alarms_set ?? 0)
  target('rows written for an event under load', '≤ 4', rows.toFixed(2), rows <= 4)
  target('a million events delivered at once under load, the glance at KV included', '≤ US$ 5.00', `US$ ${perMillion(load).toFixed(2)}`, perMillion(load) <= 5)
  target('the same for events that come alone', '≤ US$ 5.00', `US$ ${perMillion(all.alone).toFixed(2)}`, perMillion(all.alone) <= 5)
  return { all, text: `### What an event costs\n\n${costs(all)}` }
}

function machine(began, loads) {
  const cpu = os.cpus()
  const version = (file) => JSON.parse(readFileSync(path.join(ROOT, 'node_modules', file, 'package.json'), 'utf8')).version
  const disk = capture('df', ['--output=fstype', os.tmpdir()]).stdout.trim().split('\n').at(-1) || 'disk'
  const commit = capture('git', ['rev-parse', '--short', 'HEAD']).stdout.trim()
  const dirty = capture('git', ['status', '--porcelain', '--untracked-files=no', 'src', 'core', 'Cargo.lock']).stdout ? ', with changes' : ''
  return `\`npm run bench\` at ${commit}${dirty}, ${new Date(began).toISOString().slice(0, 16).replace('T', ' ')} UTC, in ${seconds(Date.now() - began)}: ${cpu.length} cores of ${cpu[0].model.trim()}, load ${loads.map((load) => load.toFixed(1)).join(' at the beginning, ')} at the end (its own included);
${capture('rustc', ['--version']).stdout.trim()}, workerd ${version('workerd')}, Node.js ${process.version}. One raw workerd (one thread for all Workers and objects), Durable Objects on ${disk}, a stand-in for KV in the same process, load and origin in another; everything on loopback.
Unique events of 2 KB, signed as GitHub's are. Medians of ${ROUNDS} blocks, floors and station in turn; ratios are of neighbouring blocks.`
}

async function bench(args) {
  const tools = await ensureTools()
  await build(tools)
  if (args.includes('costs')) {
    const { all, text } = await counted()
    writeReadme(all)
    writeDocument(all)
    say(text)
    const wrong = impossible(all)
    if (wrong.length > 0) throw new Advice(`docs/scale.md promises too much: ${wrong.join('; ')}`)
    return
  }
  const plan = args.includes('quick') ? QUICK : FULL
  const began = Date.now()
  const loads = [os.loadavg()[0]]
  const load = await startLoad()
  const parts = []
  const part = async (work) => {
    const text = await work()
    say(`\n${text}\n(${seconds(Date.now() - began)})`)
    parts.push(text)
  }
  let station = await openStation({ load, workers: floors(SECRET, load.originUrl) })
  try {
    say('Warming up …')
    await station.warm(plan.warm)
    await part(() => ingest(station, load, plan))
    await part(() => relaying(station, load, plan))
    await part(() => repeats(station, load, plan))
    await station.stop()
    // The probe alone is around the Worker: it tells the wasm's memory.
    station = await openStation({ load, wrapper: wrapper({ counting: false }) })
    await station.warm(plan.warm)
    await part(() => backlog(station, load, plan))
    await station.stop()
    await part(() => coldStart(load))
    await part(size)
    await part(async () => (await counted()).text)
  } catch (error) {
    throw new Error(`${error.stack}\n${station.log()}`)
  } finally {
    await station.stop()
    load.stop()
  }
  loads.push(os.loadavg()[0])
  const table = markdown(
    ['target', '', 'measured', ''],
    targets.map(({ what, wanted, found, met }) => [what, wanted, found, met ? 'met' : '**missed**']),
  )
  const report = [machine(began, loads), `### Targets\n\n${table}`, ...parts].join('\n\n')
  say(`\n${table}`)
  if (plan === FULL) write(path.join(ROOT, 'benches/RESULTS.md'), 'bench', report)
  else process.stdout.write(`${report}\n`)
}

await main(import.meta.url, () => bench(process.argv.slice(2)))
