// The cost table of README.md, made from the meter's counts and the list prices.
//
//   npm run bench -- costs      counts anew and writes it

import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { ROOT } from '../scripts/process.mjs'
import { SCENARIOS } from './meter.mjs'
import { AS_OF, perMillion } from './prices.mjs'

const README = path.join(ROOT, 'README.md')

const sum = (counts, ...names) => names.reduce((all, name) => all + (counts[name] ?? 0), 0)

/** What is shown, and what the guards hold to bounds: one event's share. */
export const COLUMNS = [
  ['requests to objects', 'objects', (c) => sum(c, 'object_requests', 'registry_requests', 'alarms_fired')],
  ['rows written', 'rows', (c) => sum(c, 'rows_written', 'alarms_set')],
  ['rows read', 'rows_read', (c) => sum(c, 'rows_read')],
  ['KV reads', 'kv_reads', (c) => sum(c, 'kv_reads')],
  ['KV writes', 'kv_writes', (c) => sum(c, 'kv_writes', 'kv_deletes')],
  ['to your server', 'fetches', (c) => sum(c, 'fetches')],
]

const number = (value) => (Number.isInteger(value) ? String(value) : value < 0.095 ? value.toFixed(3) : value.toFixed(2))

/** The table in Markdown. */
export function table(all) {
  const head = ['an event that is', ...COLUMNS.map(([name]) => name), 'US$ per million']
  const rows = Object.entries(SCENARIOS).map(([key, { name }]) => [
    name,
    ...COLUMNS.map(([, , count]) => number(count(all[key]))),
    perMillion(all[key]).toFixed(2),
  ])
  const line = (cells) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map((_, at) => (at === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n')
}

/** What stands between the markers of this name in a Markdown file. */
export function section(text, name) {
  const [begin, end] = [`<!-- ${name}: made by npm run bench -->`, `<!-- end of ${name} -->`]
  const from = text.indexOf(begin)
  const to = text.indexOf(end)
  if (from < 0 || to < from) throw new Error(`there are no markers for ${name}`)
  return { from: from + begin.length, to, text: text.slice(from + begin.length, to).trim() }
}

/** Puts `made` between the markers of a file. */
export function write(file, name, made) {
  const text = readFileSync(file, 'utf8')
  const { from, to } = section(text, name)
  writeFileSync(file, `${text.slice(0, from)}\n${made.trim()}\n${text.slice(to)}`)
}

/** README's whole section of costs. */
export function costs(all) {
  return `${table(all)}

Counted on the runtime, the whole way through Worker, objects and KV; an alarm is a row written when it is set and a request when it fires. At Cloudflare's list prices of ${AS_OF}, one request to the Worker (US$ 0.30 per million) included, CPU and the objects' time not ([docs/scale.md](docs/scale.md) has them).`
}

export const writeReadme = (all) => write(README, 'costs', costs(all))

const FIGURE = /\d[\d,]*(\.\d+)?/g
const numbers = (text) => [...text.matchAll(FIGURE)].map(([digits]) => Number(digits.replaceAll(',', '')))
const words = (text) => text.replaceAll(FIGURE, '#')

/**
 * Whether two texts say the same, figures within 3 % or as finely as they are shown:
 * a count under load differs in its last digit.
 */
export function agree(one, other) {
  if (words(one) !== words(other)) return false
  const others = numbers(other)
  return numbers(one).every((value, at) => Math.abs(value - others[at]) <= Math.max(0.011, 0.03 * Math.abs(value)))
}

/** Null, or why README's table is not what was counted. */
export function stale(all) {
  const shown = section(readFileSync(README, 'utf8'), 'costs').text
  return agree(shown, costs(all).trim()) ? null : `README.md's cost table is not what is counted now: npm run bench -- costs\n${table(all)}`
}
