import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { describe } from 'vitest'
import { requireQemu } from '../guest.ts'

/** Where the programs of a control plane are, as controller-runtime's envtest has it. */
const ASSETS = process.env.KUBEBUILDER_ASSETS ?? '/usr/local/kubebuilder/bin'

const PROGRAMS = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubectl'] as const

/** A program of Kubernetes. */
export type KubeProgram = (typeof PROGRAMS)[number]

/** The path of a program. */
export function kubeProgram(name: KubeProgram): string {
  return join(ASSETS, name)
}

/**
 * vitest's `describe` for tests that need a real control plane. Where its programs are missing it skips them, and says so
 * in the title and on stderr.
 */
export function requireKube(): typeof describe | typeof describe.skip {
  const reason = problem()
  if (reason === undefined) return describe
  process.stderr.write(
    `SKIPPING TESTS WITH A REAL KUBE-APISERVER: ${reason}. Put the programs of envtest into one folder and name it ` +
      'with KUBEBUILDER_ASSETS.\n',
  )
  return describe.skip
}

/** The same for tests that boot guests besides. */
export function requireKubeAndQemu(): typeof describe | typeof describe.skip {
  const kube = requireKube()
  return kube === describe ? requireQemu() : kube
}

function problem(): string | undefined {
  const missing = PROGRAMS.filter((name) => !isProgram(kubeProgram(name)))
  if (missing.length > 0) return `${ASSETS} has no ${missing.join(', no ')}`
  // Services have port 443, and the tests stand in for kube-proxy.
  if (process.getuid?.() !== 0) return 'only root may listen at port 443 of the addresses of Services'
  return undefined
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
