import type { AddressInfo } from 'node:net'
import { nodeOfUri } from '../../../certs/roles.ts'
import { buildEnrolmentServer, reloadEnrolmentTls } from '../../http/enrolment-server.ts'
import { urisOf } from '../../rpc/identity.ts'
import { parseListen, urlOf } from '../listen.ts'
import { buildEnrolment, type EnrolmentParts } from './enrolment.ts'

/** A listener for workers. */
export interface EnrolmentListener extends AsyncDisposable {
  url: string
}

/** Listens at `listen` (`ADDRESS:PORT`) for workers that want certificates. */
export async function openEnrolment(listen: string, parts: EnrolmentParts): Promise<EnrolmentListener> {
  const app = buildEnrolmentServer({
    tls: parts.tls.current(),
    enrolment: buildEnrolment(parts),
    nodeOf({ subjectAltName }) {
      const [uri, ...more] = urisOf(subjectAltName)
      return uri !== undefined && more.length === 0 ? nodeOfUri(uri) : undefined
    },
    log: parts.log,
    clock: parts.clock,
  })
  parts.tls.onChange((loaded) => reloadEnrolmentTls(app, loaded))
  const { host, port } = parseListen(listen)
  await app.listen({ host, port })
  // It listens on a port, not on a socket in the file system.
  const { port: listening } = app.server.address() as AddressInfo
  return { url: urlOf(host, listening), [Symbol.asyncDispose]: () => app.close() }
}
