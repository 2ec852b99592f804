import type { KubeClient } from '../kube/client.ts'
import { openKubeClient } from '../kube/client.ts'
import { findConfig } from '../kube/find-config.ts'

/** Options of every command that talks to a server. */
export interface ConnectOptions {
  kubeconfig?: string
  context?: string
  namespace?: string
}

/** Where a command reads, writes and connects. */
export interface CommandContext {
  stdin: NodeJS.ReadStream
  stdout: NodeJS.WritableStream
  stderr: NodeJS.WritableStream
  env: NodeJS.ProcessEnv
  /** Aborts on Ctrl+C and SIGTERM. */
  signal: AbortSignal
}

/** A client for the server that the options name, and the namespace to work in. */
export async function connect(
  options: ConnectOptions,
  { env }: CommandContext,
): Promise<{ client: KubeClient; namespace: string }> {
  const config = await findConfig(options, env)
  return { client: openKubeClient(config), namespace: options.namespace ?? config.namespace }
}

/** Path of a subresource of a VM or VMI. */
export function subresourcePath(
  resource: 'virtualmachines' | 'virtualmachineinstances',
  namespace: string,
  name: string,
  subresource: string,
): string {
  const group = '/apis/subresources.kubevirt.io/v1'
  return `${group}/namespaces/${encodeURIComponent(namespace)}/${resource}/${encodeURIComponent(name)}/${subresource}`
}
