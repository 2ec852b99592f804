/** An IPv4 network: its first address as a number, and how many addresses it has. */
export interface Network {
  base: number
  size: number
  prefix: number
}

const CIDR = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/

/** The network that a text such as `10.0.2.0/24` names; `undefined` where it names none. */
export function parseCidr(text: string): Network | undefined {
  const numbers = CIDR.exec(text)?.slice(1).map(Number)
  if (!numbers) return undefined
  const [a = 256, b = 256, c = 256, d = 256, prefix = 33] = numbers
  if ([a, b, c, d].some((byte) => byte > 255) || prefix > 32) return undefined
  const size = 2 ** (32 - prefix)
  const address = ((a * 256 + b) * 256 + c) * 256 + d
  return { base: address - (address % size), size, prefix }
}

/** The address that many behind the network's first, such as `10.0.2.2`. */
export function addressAt({ base }: Network, offset: number): string {
  const address = base + offset
  return [24, 16, 8, 0].map((bits) => Math.floor(address / 2 ** bits) % 256).join('.')
}
