import type { RpcServer } from '../../src/rpc/server.ts'
import { buildRpcServer } from '../../src/rpc/server.ts'
import { connectNode } from '../../src/rpc/client.ts'
import { roleUri } from '../../certs/roles.ts'
import type { Actions } from '../../src/rpc/actions.ts'
import { refOf, silentLog } from './worker.ts'
import { makeAuthority } from './pki.ts'
import { serveStreams, type StreamApi } from './stream-client.ts'
import { vmiOf } from './api.ts'
import type { Vmi } from '../../src/kinds/kubevirt.ts'

/** An API server and, over TLS, a worker behind it; the API knows the guest as `vm1`. */
export interface TwoHops extends AsyncDisposable {
  api: StreamApi
  rpc: RpcServer
}

const WORKER = roleUri({ role: 'worker', node: 'n1' })
const SERVER = roleUri({ role: 'apiserver' })

/** Alice opens as many as a test likes. */
const LIMITS = { maxSessions: 2000, maxSessionsPerUser: 2000, maxSessionsPerVmi: 2000 }

/** Puts both in front of a worker, for one guest of it. */
export async function openTwoHops(worker: Actions, vmi: Vmi): Promise<TwoHops> {
  await using opened = new AsyncDisposableStack()
  const authority = await makeAuthority()
  const issue = async (uri: string) => ({
    ...(await authority.issue({ usage: 'both', uris: [uri] })),
    ca: authority.cert,
  })
  const log = silentLog
  const rpc = opened.use(
    buildRpcServer({ actions: worker, tls: await issue(WORKER), allowedUris: [SERVER], log }),
  )
  const port = await rpc.listen(0, '127.0.0.1')
  const node = opened.use(
    connectNode({ address: '127.0.0.1', port, tls: await issue(SERVER), serverUri: WORKER, log }),
  )
  const known = vmiOf()
  Object.assign(known.metadata, refOf(vmi), { name: 'vm1', namespace: 'ns1' })
  const api = opened.use(
    await serveStreams(
      {
        vmi: { ...known, spec: vmi.spec },
        node: {
          console: (guest, options, signal) => node.console(guest, options, signal),
          consoleLog: (guest, options, signal) => node.consoleLog(guest, options, signal),
          vnc: (guest, options, signal) => node.vnc(guest, options, signal),
          screenshot: (guest, options, signal) => node.screenshot(guest, options, signal),
        },
      },
      { limits: LIMITS },
    ),
  )
  const stack = opened.move()
  return { api, rpc, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}
