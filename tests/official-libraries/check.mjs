// The libraries of Stripe, Svix and Standard Webhooks, for Node.js and Python, behind a
// station: each judges every attempt as it arrives, its age of at most five minutes
// included. The senders sign with the libraries for Node.js as well.
//
//   node check.mjs <station> <token> <python>
//
// Requests are signed now and an hour ago (to webhooks that set no tolerance themselves);
// of each the first attempt, a retry and a resend are judged. `resign: "never"` shows that
// the libraries do look at the age.

import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { Webhook as Standard } from 'standardwebhooks'
import Stripe from 'stripe'
import { Webhook as Svix } from 'svix'

const [station, token, python] = process.argv.slice(2)
const HOUR_SECONDS = 3_600
const PATIENCE_MS = 20_000
const BODY = JSON.stringify({ id: 'evt_1', object: 'event', type: 'invoice.paid', data: { object: { note: 'chuyển tiền' } } })

/** The fields that a provider's own library sends. */
const SENDERS = {
  stripe: (secret, at) => ({ 'stripe-signature': Stripe.webhooks.generateTestHeaderString({ payload: BODY, secret, timestamp: at }) }),
  svix: (secret, at) => message('svix', new Svix(secret).sign('msg_1', new Date(at * 1_000), BODY), at),
  'standard-webhooks': (secret, at) => message('webhook', new Standard(secret).sign('msg_1', new Date(at * 1_000), BODY), at),
}

const message = (prefix, signature, at) => ({ [`${prefix}-id`]: 'msg_1', [`${prefix}-timestamp`]: `${at}`, [`${prefix}-signature`]: signature })

/** Who is to take what a provider's webhook relays: the library, and whose secret it has. */
const RECEIVERS = {
  stripe: [['stripe', 'provider']],
  svix: [['svix', 'provider'], ['standardwebhooks', 'provider'], ['standardwebhooks', 'station']],
  'standard-webhooks': [['standardwebhooks', 'provider'], ['standardwebhooks', 'station'], ['svix', 'provider'], ['svix', 'station']],
}

/** Each throws when the library does not take it. */
const IN_NODE = {
  stripe: (secret, { headers, body }) => Stripe.webhooks.constructEvent(body, headers['stripe-signature'], secret),
  svix: (secret, { headers, body }) => new Svix(secret).verify(body, headers),
  standardwebhooks: (secret, { headers, body }) => new Standard(secret).verify(body, headers),
}

/** The libraries for Python, one question and one answer a line. */
function inPython() {
  const child = spawn(python, [fileURLToPath(new URL('verify.py', import.meta.url))], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    async verify(library, secret, { headers, body }) {
      child.stdin.write(`${JSON.stringify({ library, secret, headers, body: body.toString('base64') })}\n`)
      const { value, done } = await lines.next()
      if (done) throw new Error('verify.py has ended')
      if (value !== 'taken') throw new Error(value)
    },
    end: () => child.stdin.end(),
  }
}

/** Takes what comes: the first to each path is refused with 500, the others are taken. */
async function startOrigin() {
  const came = new Map()
  const server = createServer(async (request, response) => {
    const pieces = []
    for await (const piece of request) pieces.push(piece)
    const all = came.get(request.url) ?? []
    came.set(request.url, [...all, { headers: request.headers, body: Buffer.concat(pieces) }])
    response.writeHead(all.length === 0 ? 500 : 200).end()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const wait = (path, count) => until(`${count} requests to ${path}`, () => came.get(path)?.length >= count && came.get(path))
  return { url: `http://127.0.0.1:${server.address().port}`, wait, close: () => server.close() }
}

async function until(what, look) {
  const end = Date.now() + PATIENCE_MS
  for (;;) {
    const found = await look()
    if (found) return found
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

async function api(method, path, body) {
  const answer = await fetch(`${station}/api/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
  })
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
  return answer.json()
}

/** The three requests that an event becomes: first attempt, retry, resend. */
async function relay(origin, provider, resign, age) {
  const path = `/${provider}/${resign}/${age}/${randomBytes(4).toString('hex')}`
  const webhook = await api('POST', '/webhooks', {
    provider,
    settings: { tolerance_seconds: null },
    destinations: [{ url: `${origin.url}${path}`, resign }],
    retry: { schedule: 'custom', delays_seconds: [0.5] },
  })
  const at = Math.floor(Date.now() / 1_000) - age
  const sent = await fetch(`${station}${new URL(webhook.ingest_url).pathname}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...SENDERS[provider](webhook.secret, at) },
    body: BODY,
  })
  if (sent.status !== 200) throw new Error(`${provider}: ${sent.status} ${await sent.text()}`)
  const id = sent.headers.get('x-tram-event-id')
  await origin.wait(path, 2)
  await until(`${id} to be delivered`, async () => (await api('GET', `/events/${id}`)).status === 'delivered')
  await api('POST', `/events/${id}/resend`, {})
  const requests = await origin.wait(path, 3)
  await api('DELETE', `/webhooks/${webhook.id}`)
  return { requests, secrets: { provider: webhook.secret, station: webhook.signing_secret } }
}

/** How many of the requests each library takes, by its name, language and secret. */
async function judge(provider, { requests, secrets }, libraries) {
  const taken = {}
  for (const [library, whose] of RECEIVERS[provider]) {
    for (const [language, verify] of Object.entries(libraries)) {
      const name = `${library} (${language}, the ${whose}'s secret)`
      taken[name] = 0
      for (const request of requests) {
        try {
          await verify(library, secrets[whose], request)
          taken[name] += 1
        } catch (error) {
          taken[`${name}: why not`] = error.message
        }
      }
    }
  }
  return taken
}

const origin = await startOrigin()
const py = inPython()
const libraries = { 'Node.js': (library, secret, request) => IN_NODE[library](secret, request), Python: py.verify }
let wrong = 0
for (const provider of Object.keys(SENDERS)) {
  for (const [resign, age, expected] of [['stale', 0, 3], ['stale', HOUR_SECONDS, 3], ['never', HOUR_SECONDS, 0]]) {
    const taken = await judge(provider, await relay(origin, provider, resign, age), libraries)
    for (const [name, count] of Object.entries(taken).filter(([, count]) => typeof count === 'number')) {
      const fits = count === expected
      if (!fits) wrong += 1
      const why = fits ? '' : ` instead of ${expected}: ${taken[`${name}: why not`]}`
      console.log(`${provider}, signed ${age} s ago, resign ${resign}: ${name} took ${count} of 3${why}`)
    }
  }
}
py.end()
origin.close()
if (wrong > 0) {
  console.error(`${wrong} libraries do not judge as they should`)
  process.exitCode = 1
}
