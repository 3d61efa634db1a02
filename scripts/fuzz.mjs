// `npm run fuzz`: feeds the parsers of outside data with bytes that nobody thought
// of, starting from fuzz/seeds. What is found interesting on the way stays in
// fuzz/corpus; an input that breaks something, in fuzz/artifacts. See fuzz/README.md.
//
//   npm run fuzz -- [target …] [seconds]    every target, a minute each, unless said
//   npm run fuzz -- --address [target …]    all inputs there are, once, under AddressSanitizer

import { mkdirSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { Advice, ROOT, main, run, say } from './process.mjs'
import { ensureFuzzer, ensureTools } from './tools.mjs'

const FUZZ = path.join(ROOT, 'fuzz')
const SECONDS = '60'

/** Bytes of an input: batches of a thousand elements fit. */
const LONGEST = '-max_len=4096'
const MEMORY = '-rss_limit_mb=2048'

async function fuzz(args) {
  const address = args.includes('--address')
  const words = args.filter((arg) => arg !== '--address')
  const seconds = words.find((word) => /^\d+$/.test(word)) ?? SECONDS
  const all = readdirSync(path.join(FUZZ, 'fuzz_targets')).map((file) => path.parse(file).name).sort()
  const asked = words.filter((word) => !/^\d+$/.test(word))
  const unknown = asked.find((name) => !all.includes(name))
  if (unknown) throw new Advice(`there is no target ${unknown}, only ${all.join(', ')}`)

  const { env } = await ensureTools()
  const program = await ensureFuzzer(env)
  for (const target of asked.length > 0 ? asked : all) {
    const corpus = path.join(FUZZ, 'corpus', target)
    mkdirSync(corpus, { recursive: true })
    const end = address ? ['-runs=0'] : [`-max_total_time=${seconds}`, '-print_final_stats=1']
    say(`\n── ${target}, ${address ? 'all inputs once' : `${seconds} s`}`)
    await run(program, ['fuzz', 'run', '--sanitizer', address ? 'address' : 'none', target, corpus, path.join(FUZZ, 'seeds', target), '--', ...end, LONGEST, MEMORY], {
      // Of the sanitizers' switches none is stable; none of them is needed without.
      env: address ? { ...env, RUSTC_BOOTSTRAP: '1' } : env,
    })
  }
}

await main(import.meta.url, () => fuzz(process.argv.slice(2)))
