// What `npm run test:extra` needs besides the tools of the project: programs in Python
// and TypeScript, and cargo-deny. Each is installed once per version beside the project's
// own tools, outside the project, from its registry's ordinary client.

import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, copyFileSync } from 'node:fs'
import path from 'node:path'
import { Advice, ROOT, capture, run, say, which } from './process.mjs'
import { CACHE, download, ensureAlone, npm } from './tools.mjs'

const CARGO_DENY = '0.20.2'
const PYTHON_NEEDS = [3, 10]
const TOOLS = path.join(CACHE, 'tools')
const WINDOWS = process.platform === 'win32'

/** cargo-deny's executable. */
export const ensureDeny = (env) => ensureAlone('cargo-deny', CARGO_DENY, env)

/** A Python in which the packages of this list are installed: its executable. */
export async function ensurePython(requirements) {
  const list = path.join(ROOT, requirements)
  const python = findPython()
  const finished = path.join(TOOLS, `python-${digest(readFileSync(list), python.version)}`)
  const executable = path.join(finished, ...(WINDOWS ? ['Scripts', 'python.exe'] : ['bin', 'python']))
  if (existsSync(path.join(finished, '.whole'))) return executable
  say('Installing Python packages (once) …')
  // Not renamed afterwards, unlike the others: a virtual environment knows where it is.
  rmSync(finished, { recursive: true, force: true })
  await run(python.program, ['-m', 'venv', finished], { toStderr: true })
  const words = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--requirement', list]
  await download('the Python packages', 'pypi.org, or the index that pip is told', () => run(executable, words, { toStderr: true }))
  mkdirSync(path.join(finished, '.whole'))
  return executable
}

/** A Python that can make virtual environments. */
function findPython() {
  const how = 'install Python 3.10 or newer with venv, for example `apt install python3 python3-venv`'
  const program = which('python3') ?? which('python')
  if (!program) throw new Advice(`Python is missing: ${how}`)
  const { status, stdout } = capture(program, ['-c', 'import sys; print(*sys.version_info[:3], sep=".")'])
  const version = stdout.trim()
  const [major, minor] = version.split('.').map(Number)
  const [needMajor, needMinor] = PYTHON_NEEDS
  if (status !== 0 || major < needMajor || (major === needMajor && minor < needMinor)) throw new Advice(`Python ${version} is too old: ${how}`)
  if (capture(program, ['-c', 'import venv, ensurepip']).status !== 0) throw new Advice(`this Python cannot make virtual environments: ${how}`)
  return { program, version }
}

/** The folder in which the packages of this npm project are installed, as its lock says. */
export async function ensureNpmProject(folder) {
  const files = ['package.json', 'package-lock.json'].map((name) => path.join(ROOT, folder, name))
  const finished = path.join(TOOLS, `${path.basename(folder)}-${digest(...files.map((file) => readFileSync(file)))}`)
  if (existsSync(finished)) return finished
  say(`Installing what ${folder} needs (once) …`)
  const fresh = path.join(TOOLS, `.${path.basename(folder)}-${randomBytes(4).toString('hex')}`)
  mkdirSync(fresh, { recursive: true })
  try {
    for (const file of files) copyFileSync(file, path.join(fresh, path.basename(file)))
    await npm('ci', fresh)
    renameSync(fresh, finished)
  } catch (error) {
    // Another run may have been faster.
    if (!existsSync(finished)) throw error
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
  return finished
}

function digest(...parts) {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part).update('\0')
  return hash.digest('hex').slice(0, 16)
}
