/** The architecture of this process as Kubernetes spells it. */
export function ownArchitecture(): 'amd64' | 'arm64' {
  return process.arch === 'arm64' ? 'arm64' : 'amd64'
}
