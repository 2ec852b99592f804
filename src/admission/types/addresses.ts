import { isIPv6 } from 'node:net'

/** An address in its canonical form; a text that is none as it is. IPv4 may have leading zeros. Contract: ADM-DEC-008, MUT-P-005. */
export function canonicalAddress(text: string): string {
  const octets = text.split('.')
  if (octets.length === 4 && octets.every((octet) => /^\d+$/.test(octet) && Number(octet) <= 255)) {
    return octets.map(Number).join('.')
  }
  return isIPv6(text) ? canonicalIPv6(text) : text
}

/** A network in its canonical form, which keeps the bits of the host; a text that is none as it is. */
export function canonicalCidr(text: string): string {
  const [address = '', bits = '', ...rest] = text.split('/')
  const limit = address.includes(':') ? 128 : 32
  if (rest.length > 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > limit) return text
  return `${canonicalAddress(address)}/${Number(bits)}`
}

function canonicalIPv6(text: string): string {
  if (text.includes('%')) return text
  const host = new URL(`http://[${text}]/`).hostname.slice(1, -1)
  // An IPv4 address within is written as one.
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(host)
  if (!mapped) return host
  const [high, low] = [parseInt(mapped[1] ?? '', 16), parseInt(mapped[2] ?? '', 16)]
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}
