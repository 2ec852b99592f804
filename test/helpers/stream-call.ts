import type { KubeVirtConfiguration } from '../../src/kinds/configuration.ts'
import type { Vm, Vmi } from '../../src/kinds/kubevirt.ts'
import { VMIS, VMS } from '../../src/kinds/table.ts'
import type { Actions } from '../../src/rpc/actions.ts'
import type { Call } from '../../src/subresources/subresource.ts'
import { nodesOf } from './api.ts'
import { memoryStore } from './memory-store.ts'

/** What a stream is opened with in a test that needs no HTTP. */
export interface StreamCallOptions {
  vm?: Vm | undefined
  vmi?: Vmi | undefined
  node?: Partial<Actions>
  params?: Record<string, string>
  query?: Record<string, string>
  configuration?: KubeVirtConfiguration
}

/** A request to a stream for `vm1`, as its handler sees it. */
export function streamCall({
  vm,
  vmi,
  node,
  params = {},
  query = {},
  configuration = {},
}: StreamCallOptions): Call {
  const { store } = memoryStore([VMS, vm], [VMIS, vmi])
  const parts = {
    store,
    nodes: nodesOf(node),
    events: { record: () => {} },
    configuration: async () => configuration,
  }
  const call = {
    ...parts,
    namespace: 'ns1',
    name: 'vm1',
    user: { name: 'alice', groups: [] },
    query,
    queryAll: (name: string) => (query[name] === undefined ? [] : [query[name]]),
    params,
    body: Buffer.alloc(0),
    signal: new AbortController().signal,
  }
  // The parts that streams do not use are left out.
  return call as unknown as Call
}
