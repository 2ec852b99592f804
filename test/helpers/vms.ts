import type { Duplex } from 'node:stream'
import type { Vm, Vmi } from '../../src/kinds/kubevirt.ts'
import { hasReason } from '../../src/lib/errors.ts'
import { dialStream } from '../../src/kube/stream.ts'
import type { KubeClient } from '../../src/kube/client.ts'
import { subresourcePath } from '../../src/cli/context.ts'
import { GUEST_REFERENCE } from '../../src/guest/guest-image.ts'
import { TEST_KERNEL_ARGS } from './guest.ts'
import { eventually } from './server.ts'

/** What a test may want to be different about its VM. */
export interface HelloOptions {
  namespace?: string
  runStrategy?: string
  /** Appended to the kernel's command line. */
  kernelArgs?: string
  graceSeconds?: number
  labels?: Record<string, string>
}

/** The manifest of a VM that boots the small Linux guest. */
export function helloVm(name: string, options: HelloOptions = {}) {
  const {
    namespace = 'default',
    runStrategy = 'Manual',
    kernelArgs = '',
    graceSeconds = 30,
    labels = {},
  } = options
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: { name, namespace, labels },
    spec: {
      runStrategy,
      template: {
        metadata: { labels: { 'kubevirt.io/domain': name } },
        spec: {
          terminationGracePeriodSeconds: graceSeconds,
          domain: {
            memory: { guest: '192Mi' },
            firmware: {
              kernelBoot: {
                container: {
                  image: GUEST_REFERENCE,
                  kernelPath: '/boot/vmlinuz',
                  initrdPath: '/boot/initrd.img',
                },
                kernelArgs: `${TEST_KERNEL_ARGS} virtgate.hostname=${name} ${kernelArgs}`.trim(),
              },
            },
            devices: { rng: {}, interfaces: [{ name: 'default', masquerade: {} }] },
          },
          networks: [{ name: 'default', pod: {} }],
        },
      },
    },
  }
}

/** Paths of a VM, its VMI and their subresources. */
export function paths(name: string, namespace = 'default') {
  const group = `/apis/kubevirt.io/v1/namespaces/${namespace}`
  return {
    vms: `${group}/virtualmachines`,
    vm: `${group}/virtualmachines/${name}`,
    vmi: `${group}/virtualmachineinstances/${name}`,
    onVm: (subresource: string) => subresourcePath('virtualmachines', namespace, name, subresource),
    onVmi: (subresource: string) => subresourcePath('virtualmachineinstances', namespace, name, subresource),
  }
}

/** Creates the VM and starts it through the subresource API. */
export async function bootVm(client: KubeClient, name: string, options: HelloOptions = {}): Promise<void> {
  const { vms, onVm } = paths(name, options.namespace)
  await client.call<Vm>({ method: 'POST', path: vms, body: helloVm(name, options) })
  await client.call<void>({ method: 'PUT', path: onVm('start'), body: {} })
}

/** Waits until the VMI is in one of these phases. */
export async function awaitPhase(client: KubeClient, name: string, ...phases: string[]): Promise<Vmi> {
  return eventually(`VMI ${name} ${phases.join(' or ')}`, 60_000, async () => {
    const vmi = await getVmi(client, name)
    return vmi && phases.includes(vmi.status?.phase ?? '') ? vmi : undefined
  })
}

/** The VMI, or `undefined` where there is none. */
export async function getVmi(client: KubeClient, name: string): Promise<Vmi | undefined> {
  return client.call<Vmi>({ method: 'GET', path: paths(name).vmi }).catch((error: unknown) => {
    if (hasReason(error, 'NotFound')) return undefined
    throw error
  })
}

/** An open console that remembers what it has seen. */
export interface TestConsole {
  duplex: Duplex
  text(): string
  /** Waits until the text matches. */
  sees(pattern: RegExp, timeoutMs?: number): Promise<string>
  type(line: string): void
  close(): void
}

/** Opens the console of a running guest. */
export async function openConsole(client: KubeClient, name: string): Promise<TestConsole> {
  const { duplex } = await dialStream(client.config, paths(name).onVmi('console'))
  let text = ''
  duplex.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
  })
  duplex.on('error', () => {})
  return {
    duplex,
    text: () => text,
    async sees(pattern, timeoutMs = 60_000) {
      return eventually(`the console shows ${pattern}; so far: ${text.slice(-500)}`, timeoutMs, async () => {
        return pattern.exec(text)?.[0]
      })
    },
    type: (line) => void duplex.write(`${line}\n`),
    close: () => void duplex.destroy(),
  }
}
