import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'

const MAIN = new URL('../../src/virtgate.mjs', import.meta.url).pathname

/** Runs a command for people to its end. It may have to come through this process, which is why nobody waits at a standstill. */
export async function runVirtgate(
  { kubeconfig }: { kubeconfig: string },
  ...args: string[]
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const env = { ...process.env, KUBECONFIG: kubeconfig }
  const child = spawn(process.execPath, [MAIN, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ])
  return { code: typeof code === 'number' ? code : null, stdout, stderr }
}
