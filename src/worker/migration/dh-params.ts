import { getDiffieHellman } from 'node:crypto'

/**
 * Parameters for the exchange of keys, as PEM: the 2048-bit group 14 of RFC 3526. TLS 1.3 between two QEMUs uses
 * elliptic curves, but a server that is given none makes up some of its own, which takes seconds.
 */
export function formatDhParams(): string {
  const group = getDiffieHellman('modp14')
  const body = der(0x30, Buffer.concat([group.getPrime(), group.getGenerator()].map(integer)))
  const lines = body.toString('base64').match(/.{1,64}/g) ?? []
  return ['-----BEGIN DH PARAMETERS-----', ...lines, '-----END DH PARAMETERS-----', ''].join('\n')
}

/** A positive INTEGER: a first bit that is set would make it negative. */
function integer(bytes: Buffer): Buffer {
  return der(0x02, (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes)
}

/** One element of DER, of less than 64 KiB. */
function der(tag: number, content: Buffer): Buffer {
  const { length } = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.of(tag, ...size), content])
}
