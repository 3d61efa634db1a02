// The shop's server in the demo: fails each event some times, then takes it, and
// checks Trạm's signature as a real one should (Standard Webhooks: HMAC-SHA256
// over id.timestamp.body). Remembers every attempt.

import { createHmac, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http'

/** How far a timestamp may be from now, against captured requests. */
const TOLERANCE_SECONDS = 300

/** Listens on a free port; answers each event's first `failures` attempts with 500. */
export async function startOrigin({ failures }) {
  const requests = []
  let secret = null

  const server = createServer((request, response) => {
    const chunks = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      const id = request.headers['webhook-id']
      const status = requests.filter((earlier) => earlier.id === id).length < failures ? 500 : 200
      requests.push({
        id,
        attempt: request.headers['x-tram-attempt'],
        signature: request.headers['webhook-signature'],
        signed: secret !== null && isSigned(request.headers, body, secret),
        body: body.toString('utf8'),
        status,
      })
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ success: status === 200 }))
    })
  })
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))

  return {
    url: `http://127.0.0.1:${server.address().port}/hook`,
    expectSignedWith: (signingSecret) => (secret = signingSecret),
    /** The attempts for one event, in order of arrival. */
    attempts: (id) => requests.filter((request) => request.id === id),
    count: () => requests.length,
    stop: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(resolve))
    },
  }
}

/** The check that an origin makes; any of several signatures will do while a secret is being rotated. */
function isSigned(headers, body, secret) {
  const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures } = headers
  if (!id || !signatures || !(Math.abs(Date.now() / 1000 - Number(timestamp)) <= TOLERANCE_SECONDS)) return false
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
  const wanted = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest()
  return signatures.split(' ').some((entry) => {
    const [version, value = ''] = entry.split(/,(.*)/s)
    const given = Buffer.from(value, 'base64')
    return version === 'v1' && given.length === wanted.length && timingSafeEqual(given, wanted)
  })
}
