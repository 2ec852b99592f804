import type { Check } from './check.ts'
import { aggregationLayer } from './checks/aggregation-layer.ts'
import { apiServer } from './checks/api-server.ts'
import { apiServices } from './checks/api-services.ts'
import { certificates } from './checks/certificates.ts'
import { kinds } from './checks/kinds.ts'
import { kubernetesVersion } from './checks/kubernetes-version.ts'
import { kubevirt } from './checks/kubevirt.ts'
import { leader } from './checks/leader.ts'
import { rights } from './checks/rights.ts'
import { webhookCallers } from './checks/webhook-callers.ts'
import { webhooks } from './checks/webhooks.ts'
import { workers } from './checks/workers.ts'

/** All checks: what others stand on comes first. */
export const CHECKS: readonly Check[] = [
  kubernetesVersion,
  aggregationLayer,
  kinds,
  apiServices,
  certificates,
  apiServer,
  webhooks,
  webhookCallers,
  rights,
  kubevirt,
  leader,
  workers,
]
