// Running other programs, and saying in one line what went wrong: what every
// script here needs. Nothing in this file knows about Rust or Cloudflare.

import { spawn, spawnSync } from 'node:child_process'
import { accessSync, constants, readFileSync, realpathSync, statSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** The project's folder; every command runs there. */
export const ROOT = path.dirname(path.dirname(fileURLToPath(import.meta.url)))

const WINDOWS = process.platform === 'win32'

/** A failure that the reader can act on: printed as one line, without a stack. */
export class Advice extends Error {}

/** Prints one line of progress. Not on stdout, which may be read by a program. */
export function say(line) {
  process.stderr.write(`${line}\n`)
}

/**
 * Runs `body` when the module at `url` is the program, and not imported by one. Asked for
 * help, it says what stands at the head of its file instead.
 */
export async function main(url, body) {
  const file = fileURLToPath(url)
  if (!process.argv[1] || realpathSync(process.argv[1]) !== file) return
  if (process.argv.slice(2).some((arg) => arg === '--help' || arg === '-h')) {
    process.stdout.write(headOf(file))
    return
  }
  try {
    await body()
  } catch (error) {
    say(error instanceof Advice ? `tram: ${error.message}` : `tram: ${error?.stack ?? error}`)
    process.exit(1)
  }
}

/** The comment that a file begins with. */
function headOf(file) {
  const [comment] = /^(\/\/.*\n)+/.exec(readFileSync(file, 'utf8').replaceAll('\r\n', '\n'))
  return comment.replaceAll(/^\/\/ ?/gm, '')
}

/** The path of an executable on PATH, or null. */
export function which(name, searchPath = process.env.PATH ?? '') {
  const endings = WINDOWS ? ['.exe', '.cmd', '.bat', ''] : ['']
  for (const folder of searchPath.split(path.delimiter).filter(Boolean)) {
    for (const ending of endings) {
      const file = path.join(folder, name + ending)
      try {
        accessSync(file, constants.X_OK)
        if (statSync(file).isFile()) return file
      } catch {
        // Not here: the next folder.
      }
    }
  }
  return null
}

/** Runs a program to its end and returns what it wrote; status is null when it cannot be started. */
export function capture(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], shell: needsShell(command), ...options })
  return { status: result.status, stdout: result.stdout ?? '', stderr: result.stderr ?? '' }
}

/**
 * Runs a program in the foreground, passing its output on, and returns what it
 * wrote to stdout. Fails with one line when the program fails.
 *
 * With `apart`, a heading, nothing is passed on before its end, and then all of it, errors
 * included.
 */
export async function run(command, args, { cwd = ROOT, env = process.env, toStderr = false, stdin = 'ignore', inherit = false, apart = '' } = {}) {
  const child = spawn(command, args, {
    cwd,
    env,
    shell: needsShell(command),
    stdio: [stdin, inherit ? 'inherit' : 'pipe', apart ? 'pipe' : 'inherit'],
  })
  let output = ''
  const out = toStderr ? process.stderr : process.stdout
  child.stdout?.setEncoding('utf8').on('data', (text) => {
    output += text
    if (!apart) out.write(text)
  })
  child.stderr?.setEncoding('utf8').on('data', (text) => (output += text))
  const forward = (signal) => child.kill(signal)
  process.on('SIGINT', forward).on('SIGTERM', forward)
  try {
    const ending = await new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (status, signal) => resolve(status ?? signal))
    })
    if (apart) out.write(`${apart}\n${output}`)
    if (ending !== 0) {
      const error = new Advice(`\`${[path.basename(command), ...args].join(' ')}\` failed (${ending}); see above`)
      Object.assign(error, { output, ending })
      throw error
    }
    return output
  } finally {
    process.off('SIGINT', forward).off('SIGTERM', forward)
  }
}

/** npm is a batch file on Windows, and those start only through a shell. */
function needsShell(command) {
  return WINDOWS && /\.(cmd|bat)$/i.test(command)
}

/** Can a TCP connection be made within the given time? */
export function connects(host, port, milliseconds = 5000) {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port, timeout: milliseconds })
    const finish = (answer) => {
      socket.destroy()
      resolve(answer)
    }
    socket.on('connect', () => finish(true))
    socket.on('error', () => finish(false))
    socket.on('timeout', () => finish(false))
  })
}

/** A TCP port that is free right now. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

export const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))

/** 1234 -> "1.2 s": how long things took, for people. */
export const seconds = (milliseconds) => `${(milliseconds / 1000).toFixed(1)} s`
