/**
 * `npm start`: embedded mode with one VM, from nothing to its console. Everything it does goes through the API, as
 * kubectl and virtctl would do it.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { parse } from 'yaml'
import { subresourcePath } from './cli/context.ts'
import { attachTerminal } from './cli/terminal.ts'
import { defaultCacheDir } from './guest/debian.ts'
import { buildGuestImage, importGuest } from './guest/guest-image.ts'
import { openKubeClient, type KubeClient } from './kube/client.ts'
import { loadKubeconfig } from './kube/config.ts'
import { dialStream, type KubeStream } from './kube/stream.ts'
import type { Vm, Vmi } from './kinds/kubevirt.ts'
import { hasReason } from './lib/errors.ts'
import { openDataDir } from './roles/data-dir.ts'
import { openEmbedded } from './roles/embedded.ts'
import { openLog } from './roles/log.ts'
import { openImageStore } from './worker/images/store.ts'

const MANIFEST = fileURLToPath(new URL('../examples/hello-vm.yaml', import.meta.url))
const BOOT_TIMEOUT_MS = 120_000
/** The last line the guest prints when it has come up; its greeting stands above it. */
const GREETING = /GUEST-READY \d/

const HELP = `npm start -- [options]: boots a VM and shows its console

  --exit         shut the guest down after its greeting, and exit 0; 1 with a reason if anything fails
  --yes          install missing Debian packages without asking
  --data DIR     where everything is kept (default ./.virtgate)
  --listen ADDR:PORT  where the API is served (default 127.0.0.1:6443; port 0 takes a free one)
`

interface Options {
  exit: boolean
  data: string
  listen: string
}

function readOptions(args: string[]): Options | undefined {
  const { values } = parseArgs({
    args,
    options: {
      exit: { type: 'boolean', default: false },
      data: { type: 'string', default: '.virtgate' },
      listen: { type: 'string', default: '127.0.0.1:6443' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  return values.help ? undefined : values
}

function say(text: string): void {
  process.stderr.write(`==> ${text}\n`)
}

/** The manifest's VM, made or brought up to date, as `kubectl apply` would. */
async function apply(client: KubeClient, signal: AbortSignal): Promise<Vm> {
  const vm: Vm = parse(await readFile(MANIFEST, 'utf8'))
  const path = `/apis/kubevirt.io/v1/namespaces/${vm.metadata.namespace}/virtualmachines`
  try {
    return await client.call<Vm>({ method: 'POST', path, body: vm, signal })
  } catch (error) {
    if (!hasReason(error, 'AlreadyExists')) throw error
    const contentType = 'application/merge-patch+json'
    return client.call<Vm>({
      method: 'PATCH',
      path: `${path}/${vm.metadata.name}`,
      body: vm,
      contentType,
      signal,
    })
  }
}

/** Starts the VM; true where it runs already, from an earlier time. */
async function start(client: KubeClient, vm: Vm, signal: AbortSignal): Promise<boolean> {
  const { namespace, name } = vm.metadata
  try {
    const path = subresourcePath('virtualmachines', namespace, name, 'start')
    await client.call<void>({ method: 'PUT', path, body: {}, signal })
    return false
  } catch (error) {
    if (hasReason(error, 'Conflict') && vm.status?.created) return true
    throw error
  }
}

/** Dials the console as soon as the guest runs; shows meanwhile what is being waited for. */
async function dialConsole(client: KubeClient, vm: Vm, signal: AbortSignal): Promise<KubeStream> {
  const { namespace, name } = vm.metadata
  const console = subresourcePath('virtualmachineinstances', namespace, name, 'console')
  const path = `/apis/kubevirt.io/v1/namespaces/${namespace}/virtualmachineinstances/${name}`
  const deadline = Date.now() + BOOT_TIMEOUT_MS
  for (let shown = ''; ; await sleep(50, undefined, { signal })) {
    const vmi = await client.call<Vmi>({ method: 'GET', path, signal }).catch((error: unknown) => {
      if (hasReason(error, 'NotFound')) return undefined
      throw error
    })
    const phase = vmi?.status?.phase
    if (phase === 'Running') return dialStream(client.config, console, signal)
    const problem = vmi?.status?.conditions?.find(
      ({ type, status }) => type === 'Synchronized' && status === 'False',
    )
    if (phase === 'Failed')
      throw new Error(`the guest failed: ${problem?.message ?? vmi?.status?.reason ?? 'unknown'}`)
    if (Date.now() > deadline)
      throw new Error(`the guest is not running after 120 s: ${problem?.message ?? phase}`)
    const state = [phase, problem?.message].filter(Boolean).join(': ')
    if (state !== '' && state !== shown) say(`${name}: ${(shown = state)}`)
  }
}

/** Shows the console until the guest's greeting. A guest that is up already is asked for a sign of life. */
async function awaitGreeting({ duplex }: KubeStream, isUp: boolean, signal: AbortSignal): Promise<void> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(BOOT_TIMEOUT_MS)])
  const wanted = isUp ? /virtgate-is-up/ : GREETING
  if (isUp) duplex.write('\necho virtgate-is-up\n')
  let seen = ''
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const look = (chunk: Buffer) => {
    process.stdout.write(chunk)
    seen = (seen + chunk.toString('latin1')).slice(-8192)
    if (wanted.test(seen)) resolve()
  }
  duplex.on('data', look)
  duplex.once('close', () => reject(new Error('the console was closed before the guest had come up')))
  deadline.addEventListener('abort', () => reject(new Error('the guest did not come up within 120 s')), {
    once: true,
  })
  try {
    await promise
  } finally {
    duplex.off('data', look)
  }
  process.stdout.write('\n')
}

/** Shuts the guest down and waits until it is gone. Its last words are shown. */
async function stop(client: KubeClient, vm: Vm, console: KubeStream, signal: AbortSignal): Promise<void> {
  const { namespace, name } = vm.metadata
  const path = `/apis/kubevirt.io/v1/namespaces/${namespace}/virtualmachines/${name}`
  console.duplex.pipe(process.stdout, { end: false })
  await client.call<void>({
    method: 'PUT',
    path: subresourcePath('virtualmachines', namespace, name, 'stop'),
    body: {},
    signal,
  })
  const deadline = Date.now() + 60_000
  for (;;) {
    const { status } = await client.call<Vm>({ method: 'GET', path, signal })
    if (status?.printableStatus === 'Stopped' && !status.created) return
    if (Date.now() > deadline) throw new Error(`the guest is still ${status?.printableStatus} after 60 s`)
    await sleep(50, undefined, { signal })
  }
}

function printNextSteps(kubeconfig: string, vm: Vm): void {
  const { name } = vm.metadata
  say('The guest is up. From another terminal:')
  process.stderr.write(`
  export KUBECONFIG=${kubeconfig}
  kubectl get vms,vmis                     kubectl describe vmi ${name}
  npx virtgate console ${name}               virtctl console ${name}
  npx virtgate vnc ${name}                   virtctl vnc ${name}
  npx virtgate pause ${name}                 virtctl pause vm ${name}
  npx virtgate unpause ${name}               virtctl unpause vm ${name}
  npx virtgate stop ${name}                  virtctl stop ${name}

`)
}

/** Makes the guest and puts it where the worker finds images, so that no registry is asked. */
async function prepareGuest(data: string, signal: AbortSignal): Promise<void> {
  const guest = await buildGuestImage({ cacheDir: defaultCacheDir(), onProgress: say, signal })
  const { images } = await openDataDir(data)
  await using store = await openImageStore({ dir: images, log: { info() {}, warn() {} } })
  await importGuest(store, guest)
}

async function main({ exit, data, listen }: Options, signal: AbortSignal): Promise<void> {
  await prepareGuest(data, signal)
  const log = openLog('info', join(data, 'virtgate.log'))
  await using server = await openEmbedded({ data, listen, log, onProgress: say, signal })
  say(`serving the Kubernetes API at ${server.url}`)
  await using client = openKubeClient(await loadKubeconfig({ path: server.kubeconfig }))
  const vm = await apply(client, signal)
  const isUp = await start(client, vm, signal)
  say(isUp ? `${vm.metadata.name} runs already` : `starting ${vm.metadata.name}`)
  const console = await dialConsole(client, vm, signal)
  await awaitGreeting(console, isUp, signal)
  if (exit) {
    say('shutting the guest down')
    await stop(client, vm, console, signal)
    say('done')
    return
  }
  printNextSteps(server.kubeconfig, vm)
  say('You are on its console: press Enter; Ctrl+] leaves it.')
  await attachTerminal(console, { ...process, signal })
  say('Ctrl+C stops the server; the guest goes on running.')
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}

const controller = new AbortController()
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(name, () => controller.abort(new Error(`ended by ${name}`)))
}
try {
  const options = readOptions(process.argv.slice(2))
  if (options) await main(options, controller.signal)
  else process.stdout.write(HELP)
} catch (error) {
  if (controller.signal.aborted) say('stopped')
  else {
    process.stderr.write(`virtgate: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  }
}
