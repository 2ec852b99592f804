import { isIP } from 'node:net'

/** Reads `NAME=IP`, each name once. Throws `RangeError`. */
export function parseMigrationNetworks(texts: readonly string[]): Record<string, string> {
  const networks = new Map<string, string>()
  for (const text of texts) {
    const [, name = '', address = ''] = /^([^=]+)=(.*)$/.exec(text) ?? []
    if (isIP(address) === 0)
      throw new RangeError(
        `--migration-network ${JSON.stringify(text)} is no NAME=IP: name a network and an IP address`,
      )
    if (networks.has(name)) throw new RangeError(`--migration-network names ${name} twice: keep one address`)
    networks.set(name, address)
  }
  return Object.fromEntries(networks)
}
