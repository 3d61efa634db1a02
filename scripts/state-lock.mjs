// One station on one folder of state. Loaded into wrangler with `node --import`: takes a
// lock before wrangler does anything, and ends with IN_USE where somebody else has it.
//
// The lock is SQLite's, so that it goes with the process that holds it, however that ends,
// and whatever name leads to the folder. It is asked for twice: a file of our own keeps
// apart two stations that start at once; and the runtime keeps the databases open that it
// makes itself, also one that was left behind when wrangler was killed.

import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import path from 'node:path'

/** The status that wrangler ends with where the state is in use. */
export const IN_USE = 75
/** Names the folder. Not handed on to wrangler's own processes: the first one locks. */
export const VARIABLE = 'TRAM_STATE'

/** A station that was killed needs some seconds to end all that it started. */
const WAITS_MS = 6000
/** SQLITE_BUSY */
const BUSY = 5

const state = process.env[VARIABLE]
if (state) {
  delete process.env[VARIABLE]
  const { DatabaseSync } = await import('node:sqlite')
  if (!lock(DatabaseSync, state)) process.exit(IN_USE)
}

function lock(DatabaseSync, folder) {
  mkdirSync(folder, { recursive: true })
  const limit = Date.now() + WAITS_MS
  const own = new DatabaseSync(path.join(folder, 'station.lock'))
  const files = [own, ...runtimes(folder).map((file) => new DatabaseSync(file))]
  const free = files.every((database) => {
    while (!alone(database)) {
      if (Date.now() > limit) return false
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
    }
    return true
  })
  // Ours stays locked, and open, as long as this process lives.
  files.filter((database) => database !== own).forEach((database) => database.close())
  if (free) process.on('exit', () => own.close())
  return free
}

/** The databases that the runtime opens when it starts, one for each class of objects. */
function runtimes(folder) {
  const classes = path.join(folder, 'v3', 'do')
  if (!existsSync(classes)) return []
  return readdirSync(classes).map((name) => path.join(classes, name, 'metadata.sqlite')).filter(existsSync)
}

/** Nobody else has this database open; it stays locked until it is closed. */
function alone(database) {
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT')
    return true
  } catch (error) {
    if (error.errcode === BUSY) return false
    throw error
  }
}
