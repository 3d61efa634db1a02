// Ends this process when the one that started it is gone, so that not even a
// killed `npm start` leaves a station running. Loaded into wrangler too, with
// `node --import`: it takes SIGTERM as the wish to stop, and workerd with it.

import { existsSync, readFileSync } from 'node:fs'

const parent = process.ppid
const npm = npmBehindShell()

setInterval(() => {
  if (process.ppid !== parent || (npm && !existsSync(`/proc/${npm}`))) process.kill(process.pid, 'SIGTERM')
}, 500).unref()

/** npm starts scripts through a shell, which outlives it: Linux tells whose child the shell is. */
function npmBehindShell() {
  if (!process.env.npm_lifecycle_event) return null
  try {
    const [, command, grandparent] = /^\d+ \((.*)\) \S (\d+) /s.exec(readFileSync(`/proc/${parent}/stat`, 'utf8'))
    return /^(ba|da|a|z|)sh$/.test(command) ? grandparent : null
  } catch {
    return null
  }
}
