// `npm run demo`: the whole promise in ten seconds. A station with throw-away
// state, a shop's server that fails at first, and Casso posting two bank
// transactions; each line is told when it was observed. Ends with 0 only if all
// of them were.

import { randomBytes } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { Advice, main, say, sleep } from './process.mjs'
import { startOrigin } from './demo-origin.mjs'
import { startStation, stopSignal } from './station.mjs'

const PATIENCE = 30_000
const interrupted = stopSignal()
const FAILURES = 2
const TOKEN = randomBytes(32).toString('hex')
const CASSO_SECRET = randomBytes(24).toString('hex')

const transaction = (id, tid, description, amount, balance, from) => ({
  id,
  tid,
  description,
  amount,
  cusum_balance: balance,
  when: '2026-11-20 10:30:00',
  bank_sub_acc_id: '88888888',
  subAccId: '88888888',
  bankName: 'Ngân hàng TMCP Việt Nam Thịnh Vượng',
  bankAbbreviation: 'VPB',
  virtualAccount: '',
  virtualAccountName: '',
  corresponsiveName: from,
  corresponsiveAccount: '0123456789',
  corresponsiveBankId: '970436',
  corresponsiveBankName: 'Ngân hàng TMCP Ngoại thương Việt Nam',
})

const TRANSACTIONS = [
  transaction(7301, 'FT26324000001', 'Nguyễn Thị Ánh chuyển tiền đơn hàng DH1001', 599_000, 25_599_000, 'NGUYỄN THỊ ÁNH'),
  transaction(7302, 'FT26324000002', 'Trần Văn Bình thanh toán cà phê sữa đá', 45_000, 25_644_000, 'TRẦN VĂN BÌNH'),
]
const BODY = JSON.stringify({ error: 0, data: TRANSACTIONS })

async function demo(cleanup) {
  say('Starting a station and a shop …')
  const origin = await startOrigin({ failures: FAILURES })
  cleanup.push(origin.stop)
  const station = await startStation({ vars: { ADMIN_TOKEN: TOKEN, ALLOW_PRIVATE_DESTINATIONS: 'true' }, signal: interrupted })
  cleanup.push(station.stop)

  const webhook = await createWebhook(station, origin)
  origin.expectSignedWith(webhook.signing_secret)
  const ingest = `${station.url}/in/${webhook.id}`
  tell('created', `webhook ${webhook.id} for Casso → ${origin.url}`)

  const first = await observe('Trạm accepts the post', () => post(ingest, CASSO_SECRET))
  expect('the post is accepted', first, { status: 200, outcome: 'accepted', body: { success: true } })
  const ids = (first.eventIds ?? '').split(',').filter(Boolean)
  if (ids.length !== 2 || first.eventCount !== '2') throw unexpected('the post becomes two events', first)
  tell('accepted', `one post with two transactions: 200 ${JSON.stringify(first.body)}, events ${ids.join(' and ')}`)

  const everyEvent = (test) => ids.every((id) => test(origin.attempts(id)))
  await until('each event reaches the shop', () => everyEvent((got) => got.length >= 1))
  checkAttempts(origin, ids)
  tell('relayed', `each to the shop as a post of its own, in Casso's envelope and signed by Trạm: ${amounts(origin, ids)}`)

  await until('the shop fails each event', () => everyEvent((got) => got[0]?.status === 500))
  tell('failed', 'the shop is ill and answers 500')

  await until('each event is tried again', () => everyEvent((got) => got.length >= 2 && got[1].attempt === '2'))
  tell('retried', 'after half a second, under the same webhook-id')

  await until('the shop takes each event', () => everyEvent((got) => got.at(-1)?.status === 200))
  const events = await until('the history says delivered', () => deliveredEvents(station, webhook.id, ids))
  checkAttempts(origin, ids)
  tell('delivered', `the shop is well again; the history says ${events.map((event) => `${event.status} after ${event.attempts} attempts`).join(', ')}`)

  const before = origin.count()
  const again = await observe('Trạm answers the repeated post', () => post(ingest, CASSO_SECRET))
  expect('the same post again is a duplicate', again, { status: 200, outcome: 'duplicate', body: { success: true } })
  await sleep(1500)
  if (origin.count() !== before) throw new Advice('not observed: a duplicate stays away from the shop; it was relayed again')
  tell('duplicate', 'the same post again: Casso reads 200, the shop hears nothing')

  const forged = await observe('Trạm answers the forged post', () => post(ingest, 'not-the-secret'))
  expect('a forged post is refused', forged, { status: 401, outcome: 'refused' })
  await sleep(500)
  if (origin.count() !== before) throw new Advice('not observed: a forged post stays away from the shop; it was relayed')
  tell('forged', `a post with another secure-token: 401 ${forged.body?.code ?? ''}, the shop hears nothing`)
}

async function createWebhook(station, origin) {
  const answer = await fetch(`${station.url}/api/v1/webhooks`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      name: 'Webhook đơn hàng',
      provider: 'casso',
      secret: CASSO_SECRET,
      webhook_url: origin.url,
      retry: { schedule: 'custom', delays_seconds: [0.5, 1] },
    }),
    signal: AbortSignal.timeout(PATIENCE),
  })
  const text = await answer.text()
  if (answer.status !== 201) throw new Advice(`not observed: a webhook is created; POST /api/v1/webhooks answered ${answer.status} ${text}`)
  return JSON.parse(text)
}

/** What Casso does. */
async function post(ingest, secret) {
  const answer = await fetch(ingest, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'secure-token': secret },
    body: BODY,
    signal: AbortSignal.timeout(PATIENCE),
  })
  const text = await answer.text()
  const header = (name) => answer.headers.get(name)
  return { status: answer.status, outcome: header('x-tram-outcome'), eventIds: header('x-tram-event-id'), eventCount: header('x-tram-event-count'), body: parsed(text) }
}

async function deliveredEvents(station, webhookId, ids) {
  const answer = await fetch(`${station.url}/api/v1/events?webhook_id=${webhookId}`, {
    headers: { authorization: `Bearer ${TOKEN}` },
    signal: AbortSignal.timeout(PATIENCE),
  })
  if (!answer.ok) throw new Advice(`not observed: the history can be read; GET /api/v1/events answered ${answer.status} ${await answer.text()}`)
  const { data } = await answer.json()
  const mine = data.filter((event) => ids.includes(event.id))
  return mine.length === ids.length && mine.every((event) => event.status === 'delivered' && event.attempts === FAILURES + 1) ? mine : null
}

/** Every attempt so far: signed, numbered in order, and with one whole transaction. */
function checkAttempts(origin, ids) {
  const seen = ids.map((id) => {
    origin.attempts(id).forEach((got, index) => {
      if (!got.signed) throw new Advice(`not observed: Trạm's signature is right; attempt ${index + 1} of ${id} carries ${got.signature ?? 'none'}`)
      if (got.attempt !== String(index + 1)) throw new Advice(`not observed: attempts are numbered; number ${index + 1} of ${id} says ${got.attempt}`)
    })
    return parsed(origin.attempts(id)[0].body)?.data?.[0]
  })
  const byId = (one, other) => one?.id - other?.id
  if (!isDeepStrictEqual(seen.toSorted(byId), TRANSACTIONS)) throw new Advice(`not observed: the shop gets each transaction whole; it got ${JSON.stringify(seen)}`)
}

function amounts(origin, ids) {
  return ids.map((id) => `${parsed(origin.attempts(id)[0].body).data[0].amount.toLocaleString('vi-VN')} ₫`).join(', ')
}

function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** Runs one step; a silence or a broken connection is named by what was awaited. */
async function observe(what, step) {
  try {
    return await step()
  } catch (error) {
    throw error instanceof Advice ? error : new Advice(`not observed: ${what} (${error.message})`)
  }
}

async function until(what, test) {
  const limit = Date.now() + PATIENCE
  while (Date.now() < limit) {
    if (interrupted.aborted) throw new Advice('interrupted')
    const answer = await observe(what, test)
    if (answer) return answer
    await sleep(50)
  }
  throw new Advice(`not observed within ${PATIENCE / 1000} s: ${what}`)
}

function expect(what, answer, wanted) {
  if (Object.entries(wanted).some(([name, value]) => !isDeepStrictEqual(answer[name], value))) throw unexpected(what, answer)
}

const unexpected = (what, answer) => new Advice(`not observed: ${what}; the answer was ${JSON.stringify(answer)}`)

function tell(word, story) {
  process.stdout.write(`✓ ${word.padEnd(9)}  ${story}\n`)
}

await main(import.meta.url, async () => {
  const cleanup = []
  try {
    await demo(cleanup)
    say('\nNothing lost, nothing twice, nothing unproven. Your own station: npm start')
  } finally {
    for (const stop of cleanup.reverse()) await stop()
  }
})
