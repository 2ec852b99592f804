import type { Tls } from '../http/tls.ts'

/**
 * A pair to be served, and the names of no authorities: a client that goes by them, as kube-apiserver does, would show no
 * certificate while its authority is being replaced, and keep that connection for hours. So each shows what it has, and
 * the authenticators judge it.
 */
export function namelessTls({ cert, key }: Tls): Tls {
  return { cert, key, ca: [] }
}
