// Runs Workers on raw workerd: no proxy, no logging in front, Durable Objects on
// disk. KV has no implementation there, so a Worker that keeps it in memory
// stands in for it.

import { spawn } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const project = fileURLToPath(new URL('..', import.meta.url))
/** Asked for when it is needed: in a fresh clone it is installed first. */
const workerd = () => createRequire(import.meta.url).resolve('workerd/bin/workerd')

const KV_STAND_IN = `
const kept = new Map();
export default {
  async fetch(request) {
    const key = decodeURIComponent(new URL(request.url).pathname.slice(1));
    if (request.method === "PUT") { kept.set(key, await request.arrayBuffer()); return new Response(); }
    if (request.method === "DELETE") { kept.delete(key); return new Response(); }
    const value = kept.get(key);
    return value === undefined ? new Response("Not Found", { status: 404 }) : new Response(value);
  },
};`

export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

// Starts the station and the given JavaScript Workers, each
// `{ name, source, objects: ["ClassName"], kv }`, on ports of their own. `wrapper`
// holds JavaScript modules by their names: the station is wrapped in the first,
// which finds it as "station.js". `build` is another folder with the station's
// two files; `v8Flags` are for profiling.
export async function start({ vars, workers = [], wrapper = {}, build = join(project, 'build'), v8Flags = [] }) {
  const folder = await mkdtemp(join(tmpdir(), 'tram-bench-'))
  await copyFile(join(build, 'index.js'), join(folder, 'station.js'))
  await copyFile(join(build, 'index_bg.wasm'), join(folder, 'index_bg.wasm'))
  for (const [name, source] of Object.entries(wrapper)) await writeFile(join(folder, name), source)
  await writeFile(join(folder, 'kv.js'), KV_STAND_IN)
  const text = (value) => JSON.stringify(value)
  const ports = { tram: await freePort() }
  const services = []
  const sockets = []
  const definitions = []
  const define = async (name, modules, objects, bindings) => {
    const disk = `${name}-disk`
    await mkdir(join(folder, disk), { recursive: true })
    services.push(`(name = ${text(name)}, worker = .${name})`)
    services.push(`(name = ${text(disk)}, disk = (path = ${text(join(folder, disk))}, writable = true))`)
    sockets.push(`(name = ${text(name)}, address = "127.0.0.1:${ports[name]}", http = (), service = ${text(name)})`)
    definitions.push(`const ${name} :Workerd.Worker = (
  modules = [${modules.join(', ')}],
  compatibilityDate = "2026-11-01",
  bindings = [${bindings.join(', ')}],
  durableObjectNamespaces = [${objects.map((o) => `(className = ${text(o)}, uniqueKey = ${text(`${name}-${o}`)}, enableSql = true)`).join(', ')}],
  durableObjectStorage = (localDisk = ${text(disk)}),
);`)
  }
  await define(
    'tram',
    [
      // The first module is the Worker's entry.
      ...Object.keys(wrapper).map((name) => `(name = ${text(name)}, esModule = embed ${text(name)})`),
      '(name = "station.js", esModule = embed "station.js")',
      '(name = "index_bg.wasm", wasm = embed "index_bg.wasm")',
    ],
    ['Mailbox', 'Registry'],
    [
      '(name = "MAILBOX", durableObjectNamespace = "Mailbox")',
      '(name = "REGISTRY", durableObjectNamespace = "Registry")',
      '(name = "KV", kvNamespace = "kv")',
      ...Object.entries(vars).map(([name, value]) => `(name = ${text(name)}, text = ${text(value)})`),
    ],
  )
  for (const { name, source, objects, kv } of workers) {
    ports[name] = await freePort()
    await writeFile(join(folder, `${name}.js`), source)
    await define(
      name,
      [`(name = "${name}.js", esModule = embed "${name}.js")`],
      objects,
      [
        ...objects.map((o) => `(name = ${text(o.toUpperCase())}, durableObjectNamespace = ${text(o)})`),
        ...(kv ? ['(name = "KV", kvNamespace = "kv")'] : []),
      ],
    )
  }
  await writeFile(
    join(folder, 'config.capnp'),
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    ${services.join(',\n    ')},
    (name = "kv", worker = .kv),
    (name = "internet", network = (allow = ["public", "private"])),
  ],
  sockets = [${sockets.join(', ')}],
  v8Flags = [${v8Flags.map(text).join(', ')}],
);
const kv :Workerd.Worker = (modules = [(name = "kv.js", esModule = embed "kv.js")], compatibilityDate = "2026-11-01");
${definitions.join('\n')}
`,
  )
  const child = spawn(workerd(), ['serve', join(folder, 'config.capnp')], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk) => {
    said = (said + chunk).slice(-4000)
  })
  const url = (name) => `http://127.0.0.1:${ports[name]}`
  const stop = async () => {
    child.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  }
  for (let tries = 0; ; tries++) {
    try {
      if ((await fetch(`${url('tram')}/healthz`)).ok) break
    } catch (error) {
      if (tries > 2_000 || child.exitCode !== null) {
        await stop()
        throw new Error(`workerd did not start: ${said || error}`)
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return { url, pid: child.pid, stop, log: () => said }
}
