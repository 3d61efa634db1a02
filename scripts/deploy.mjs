// `npm run deploy`: builds and deploys to the account that wrangler is logged in
// to. The KV namespace, named without an id in wrangler.toml, is created by the
// first deploy; the Durable Objects come with the migration there.
//
//   npm run deploy
//   npm run deploy -- --dry-run               builds, and uploads nothing
//
// Arguments after `--` go to `wrangler deploy`: `npx wrangler deploy --help` names them all.

import { build } from './build.mjs'
import { capture, main, run, say } from './process.mjs'
import { ensureTools } from './tools.mjs'

const SECRET = 'ADMIN_TOKEN'

async function deploy(args) {
  const tools = await ensureTools()
  await build(tools)
  // Wrangler may have to ask which account it is for: it keeps the terminal.
  await run(tools.node, [tools.wrangler, 'deploy', ...args], { env: tools.env, stdin: 'inherit', inherit: true })
  // With arguments it may have been another environment, or a dry run.
  if (args.length === 0 && lacksToken(tools)) {
    say(`\nThe management API stays closed until it has a token: npx wrangler secret put ${SECRET}`)
    say('(a long random one, for example from `openssl rand -hex 32`)')
  }
}

/** Only when wrangler can say so: a deploy that went well is not spoilt by a question after it. */
function lacksToken(tools) {
  const { status, stdout } = capture(tools.node, [tools.wrangler, 'secret', 'list', '--format', 'json'], { env: tools.env })
  if (status !== 0) return false
  try {
    return !JSON.parse(stdout).some(({ name }) => name === SECRET)
  } catch {
    return false
  }
}

await main(import.meta.url, () => deploy(process.argv.slice(2)))
