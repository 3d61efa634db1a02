// What someone would write against the description: a webhook is created, a bank posts a
// transaction, the list shows it delivered, it is sent again, and the webhook goes. Types
// come from the description alone; compiled by `tsc --strict`.
//
//   node client.js http://localhost:8787 TOKEN

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import createClient from 'openapi-fetch'
import type { components, paths } from './tram.js'

type Event = components['schemas']['Event']

const [station, token] = process.argv.slice(2)
if (station === undefined || token === undefined) throw new Error('say where the station is, and its token')
const tram = createClient<paths>({ baseUrl: station, headers: { authorization: `Bearer ${token}` } })

/** The origin: takes everything, and remembers under which id it came. */
const ids: string[] = []
const origin = createServer((request, response) => {
  ids.push(String(request.headers['webhook-id']))
  request.resume().on('end', () => response.end('{"success":true}'))
})
await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve))
const { port } = origin.address() as AddressInfo

function right<T>(answer: { data?: T; error?: components['schemas']['Problem'] }, what: string): T {
  if (answer.data === undefined) throw new Error(`${what}: ${answer.error?.code}: ${answer.error?.detail}`)
  return answer.data
}

function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(`not so: ${what}`)
  console.log(`✓ ${what}`)
}

async function until(what: string, ask: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 20_000
  while (!(await ask())) {
    if (Date.now() > end) throw new Error(`in vain waited for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  console.log(`✓ ${what}`)
}

const webhook = right(
  await tram.POST('/api/v1/webhooks', {
    body: {
      name: 'Đơn hàng',
      provider: 'casso',
      webhook_url: `http://127.0.0.1:${port}/hook`,
      retry: { schedule: 'fixed', interval_seconds: 1, max_attempts: 5 },
    },
  }),
  'create',
)
expect(webhook.provider === 'casso' && webhook.destinations.length === 1, 'a webhook is created')
const path = { webhook_id: webhook.id }
const secret = typeof webhook.secret === 'string' ? webhook.secret : webhook.secret[0]

const posted = await fetch(webhook.ingest_url, {
  method: 'POST',
  headers: { 'secure-token': secret ?? '', 'content-type': 'application/json' },
  body: JSON.stringify({ error: 0, data: [{ id: Date.now(), tid: 'FT1', description: 'DH1', amount: 5000, when: '2026-11-20 09:15:00' }] }),
})
expect(posted.status === 200 && posted.headers.get('x-tram-outcome') === 'accepted', 'a transaction is accepted')
await posted.arrayBuffer()

let event: components['schemas']['ListedEvent'] | undefined
await until('the list shows it delivered', async () => {
  const list = right(await tram.GET('/api/v1/events', { params: { query: { webhook_id: webhook.id, include: 'attempts' } } }), 'list')
  event = list.data[0]
  return event?.status === 'delivered'
})
if (event === undefined) throw new Error('no event')
expect(event.summary.amount === '5000' && event.summary.direction === 'in', 'with what the bank said of it')
expect(event.deliveries?.[0]?.attempts[0]?.status_code === 200, 'and the attempt that was made')

const whole: Event = right(await tram.GET('/api/v1/events/{event_id}', { params: { path: { event_id: event.id } } }), 'one event')
expect(whole.body !== undefined && whole.headers?.['secure-token'] !== secret, 'one event has its body, and no secret')

const again = right(await tram.POST('/api/v1/events/{event_id}/resend', { params: { path: { event_id: event.id } }, body: { destination_id: webhook.destinations[0]?.id ?? null } }), 'resend')
expect(again.queued === 1, 'it is queued again')
await until('the origin has it twice, under one id', async () => ids.length === 2 && ids[0] === event?.id && ids[1] === event?.id)

const changed = right(await tram.PUT('/api/v1/webhooks/{webhook_id}', { params: { path }, body: { name: 'Đơn hàng 2', type: 'IN' } }), 'change')
expect(changed.name === 'Đơn hàng 2' && changed.type === 'IN', 'the webhook is changed')

const refused = await tram.PUT('/api/v1/webhooks/{webhook_id}', { params: { path }, body: { dedupe_days: 1 } })
expect(refused.error?.code === 'invalid' && refused.error.errors?.[0]?.pointer === '/dedupe_days', 'a mistake is named')

const stats = right(await tram.GET('/api/v1/stats', { params: { query: { webhook_id: webhook.id } } }), 'figures')
expect(stats.counts.delivered === 1, 'the figures count it')

right(await tram.DELETE('/api/v1/webhooks/{webhook_id}', { params: { path } }), 'delete')
const gone = await tram.GET('/api/v1/webhooks/{webhook_id}', { params: { path } })
expect(gone.response.status === 404 && gone.error?.code === 'webhook_not_found', 'the webhook is gone')
origin.close()
