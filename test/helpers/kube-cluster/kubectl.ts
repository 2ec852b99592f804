import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { kubeProgram } from './binaries.ts'
import type { KubeUser } from './control-plane.ts'

/** What a program has said. */
export interface Said {
  status: number | null
  stdout: string
  stderr: string
}

/** Runs stock kubectl. It may have to come through this process, which is why nobody waits for it at a standstill. */
export async function kubectl(
  { kubeconfig }: Pick<KubeUser, 'kubeconfig'>,
  args: readonly string[],
  input = '',
): Promise<Said> {
  const child = spawn(kubeProgram('kubectl'), args, {
    // It keeps discovery below HOME, which has to be that of this control plane alone.
    env: { PATH: process.env.PATH, KUBECONFIG: kubeconfig, HOME: `${kubeconfig}.home` },
  })
  child.stdin.end(input)
  const [stdout, stderr, [status]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ])
  return { status: typeof status === 'number' ? status : null, stdout, stderr }
}

/** Runs it and answers what it prints. Throws where it fails or complains. */
export async function kubectlPrints(
  user: Pick<KubeUser, 'kubeconfig'>,
  args: readonly string[],
  input?: string,
): Promise<string> {
  const { status, stdout, stderr } = await kubectl(user, args, input)
  if (status === 0 && stderr === '') return stdout
  throw new Error(`kubectl ${args.join(' ')} ended with ${status}: ${stderr}`)
}

/** Applies objects as a careful person does: a warning is an error. Throws with what kubectl has said. */
export async function apply(user: Pick<KubeUser, 'kubeconfig'>, objects: readonly object[]): Promise<string> {
  const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects })
  return kubectlPrints(user, ['apply', '--server-side', '--warnings-as-errors', '-f', '-'], list)
}
