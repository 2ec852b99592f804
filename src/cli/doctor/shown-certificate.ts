import { connect } from 'node:tls'

/** What somebody shows: the certificate, and why it is not believed. `unreachable` where nobody answers. */
export type Shown = { pem: string; problem?: string } | { unreachable: string }

/** From outside of a cluster, addresses of its pods often lead nowhere. */
const LIMIT_MS = 3000

/** Asks who is at an address for its certificate, and holds it against a name and the authorities in `ca`, PEM. */
export async function shownCertificate(
  { host, port }: { host: string; port: number },
  name: string,
  ca: string,
  signal: AbortSignal,
): Promise<Shown> {
  const { promise, resolve } = Promise.withResolvers<Shown>()
  // Nothing is sent: what is wrong with the certificate is to be told, not to end the connection.
  const socket = connect({ host, port, servername: name, ca, rejectUnauthorized: false })
  const stop = AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)])
  const giveUp = () => resolve({ unreachable: 'it does not answer in time' })
  stop.addEventListener('abort', giveUp, { once: true })
  if (stop.aborted) giveUp()
  socket.once('error', (error) => resolve({ unreachable: error.message }))
  socket.once('secureConnect', () => {
    const pem = socket.getPeerX509Certificate()?.toString() ?? ''
    const { authorizationError } = socket
    const problem = authorizationError && (authorizationError.message || String(authorizationError))
    resolve({ pem, ...(problem && { problem }) })
  })
  try {
    return await promise
  } finally {
    stop.removeEventListener('abort', giveUp)
    socket.destroy()
  }
}
