import type { FastifyInstance } from 'fastify'
import type { Attributes, Authenticator, User } from '../../src/auth/access.ts'
import { defaultConfig, readConfig } from '../../src/admission/config.ts'
import { specDefaults } from '../../src/admission/defaults.ts'
import { buildServer, type ServerOptions } from '../../src/http/server.ts'
import { mayUseAll } from '../../src/kinds/foreign-use.ts'
import { unauthorized } from '../../src/lib/errors.ts'
import type { Log } from '../../src/lib/log.ts'
import { buildExpander } from '../../src/instancetype/expand.ts'
import type { KubeVirtConfiguration } from '../../src/kinds/configuration.ts'
import type { Vm, Vmi, VmiPhase } from '../../src/kinds/kubevirt.ts'
import { VMIS, VMS } from '../../src/kinds/table.ts'
import type { Actions, Nodes } from '../../src/rpc/actions.ts'
import { lateShapes } from '../../src/roles/cluster-expander.ts'
import { subresources } from '../../src/subresources/index.ts'
import type { Parts } from '../../src/subresources/subresource.ts'
import { memoryStore, type MemoryStore } from './memory-store.ts'

/** Where subresources are, up to the resource. */
export const BASE = '/apis/subresources.kubevirt.io/v1/namespaces/ns1'
/** Who calls where a test does not care. */
export const ALICE = { authorization: 'Bearer alice' }

/** A VM called `vm1`. */
export function vmOf(spec: Partial<Vm['spec']> = {}, status?: Vm['status']): Vm {
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: metadataOf('vm1', 'vm-uid'),
    spec: { template: { spec: { domain: { devices: {} } } }, ...spec },
    ...(status && { status }),
  }
}

/** The VMI of `vmOf`, on node `n1`. */
export function vmiOf(
  phase: VmiPhase | '' = 'Running',
  change: { spec?: object; status?: object } = {},
): Vmi {
  const owner = {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    name: 'vm1',
    uid: 'vm-uid',
    controller: true,
  }
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    metadata: { ...metadataOf('vm1', 'u1'), ownerReferences: [owner] },
    spec: { domain: { devices: {} }, ...change.spec },
    // The empty phase is on the wire, though not among those that have a name.
    status: { phase: phase as VmiPhase, nodeName: 'n1', ...change.status },
  }
}

function metadataOf(name: string, uid: string) {
  return { name, namespace: 'ns1', uid, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' }
}

/** A log that keeps its lines. */
export function memoryLog(): Log & { lines: { level: string; fields: object; text: string }[] } {
  const lines: { level: string; fields: object; text: string }[] = []
  const at = (level: string) => (fields: object, text: string) => void lines.push({ level, fields, text })
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** Knows whoever shows a bearer token by that name; `bad` is a wrong one. */
export const byToken: Authenticator = {
  async authenticate({ bearerToken }) {
    if (bearerToken === 'bad') throw unauthorized()
    return bearerToken === undefined ? undefined : { name: bearerToken, groups: [] }
  },
}

/** One node, `n1`, that can do what is given and nothing else. */
export function nodesOf(actions: Partial<Actions> | undefined): Nodes {
  const missing = (name: string) => () => Promise.reject(new Error(`${name} was not expected`))
  const node = new Proxy(actions ?? {}, {
    get: (target, name) => Reflect.get(target, name) ?? missing(String(name)),
  })
  return {
    // The proxy answers every name there is.
    find: (name) => (actions && name === 'n1' ? (node as Actions) : undefined),
    lastHeardMs: () => undefined,
    ready: () => (actions ? ['n1'] : []),
    onChange: () => () => {},
  }
}

export interface TestApi extends MemoryStore {
  app: FastifyInstance
  log: ReturnType<typeof memoryLog>
  reviews: { user: User; attributes: Attributes }[]
}

/** What handlers use, over a store. */
export function partsOf(
  store: Parts['store'],
  {
    node,
    configuration,
  }: { node?: Partial<Actions> | undefined; configuration?: KubeVirtConfiguration | undefined } = {},
): Parts {
  return {
    store,
    nodes: nodesOf(node),
    events: { record: () => {} },
    configuration: async () => configuration ?? {},
    foreignUses: () => mayUseAll,
    expander: buildExpander({
      reader: store,
      defaults: () => specDefaults(readConfig(defaultConfig('amd64'), configuration)),
    }),
    shapes: lateShapes(),
  }
}

/** A server over objects in memory where everybody who is known may do everything. */
export function apiOf(
  {
    vm,
    vmi,
    node,
    configuration,
  }: {
    vm?: Vm | undefined
    vmi?: Vmi | undefined
    node?: Partial<Actions>
    /** Of the KubeVirt object. */
    configuration?: KubeVirtConfiguration
  },
  options: Partial<ServerOptions> = {},
): TestApi {
  const memory = memoryStore([VMS, vm], [VMIS, vmi])
  const log = memoryLog()
  const reviews: TestApi['reviews'] = []
  const app = buildServer({
    parts: partsOf(memory.store, { node, configuration }),
    authenticator: byToken,
    authorizer: {
      review: async (user, attributes) => {
        reviews.push({ user, attributes })
        return { allowed: true, reason: '' }
      },
    },
    subresources,
    log,
    ...options,
  })
  return { ...memory, app, log, reviews }
}

/** Asks as Alice; the body goes as it is. */
export async function put(app: FastifyInstance, path: string, body?: string) {
  return app.inject({
    method: 'PUT',
    url: BASE + path,
    headers: ALICE,
    ...(body !== undefined && { payload: body }),
  })
}
