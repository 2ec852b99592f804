import { readFileSync } from 'node:fs'
import type { VersionInfo } from '../embedded/http/parts.ts'

/** The version of KubeVirt whose API is served. */
export const KUBEVIRT_VERSION = 'v1.9.0'

/** What embedded mode's Kubernetes API says of itself: clients choose their behaviour by the minor version. */
export const KUBERNETES_VERSION: VersionInfo = {
  major: '1',
  minor: '34',
  gitVersion: `v1.34.0+virtgate-${readVersion()}`,
  gitCommit: '',
  gitTreeState: '',
  buildDate: '',
  goVersion: '',
  compiler: '',
  platform: `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`,
}

/** What the subresource group says of itself: virtctl compares the version with its own. */
export function groupVersion(): VersionInfo {
  return { ...KUBERNETES_VERSION, gitVersion: `${KUBEVIRT_VERSION}+virtgate-${readVersion()}` }
}

/** The version in package.json, such as `0.1.0`. */
export function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  const { version }: { version: string } = JSON.parse(text)
  return version
}
