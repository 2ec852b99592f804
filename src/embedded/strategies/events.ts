import { invalidValue } from '../../lib/causes.ts'
import { isRecord, type JsonRecord } from '../../lib/json.ts'
import type { AnyObject } from '../parts.ts'
import type { Strategy } from './strategy.ts'

const INVOLVED = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath']

const involved = ({ involvedObject }: AnyObject): JsonRecord =>
  isRecord(involvedObject) ? involvedObject : {}
const component = ({ source, reportingComponent }: AnyObject) =>
  (isRecord(source) && source.component) || reportingComponent

/** Source: `pkg/registry/core/event` and `ValidateEventUpdate` of Kubernetes. */
export const eventStrategy: Strategy = {
  check(object) {
    const { namespace } = involved(object)
    // Events about cluster-scoped objects live in `default`; nodes' own agents use any.
    if (!namespace || namespace === object.metadata.namespace) return []
    const message = `Invalid value: ${JSON.stringify(namespace)}: does not match event.namespace`
    return [invalidValue('involvedObject.namespace', message)]
  },
  selectableFields: {
    ...Object.fromEntries(
      INVOLVED.map((field) => [`involvedObject.${field}`, (object: AnyObject) => involved(object)[field]]),
    ),
    reason: ({ reason }) => reason,
    type: ({ type }) => type,
    source: component,
    reportingComponent: ({ reportingComponent }) => reportingComponent,
  },
}
