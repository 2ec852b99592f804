import type { Vm, Vmi } from '../../kinds/kubevirt.ts'
import { controllerOf, findCondition, isTrue } from '../../kinds/meta.ts'
import { monotonicMs } from '../../lib/clock.ts'
import type { GuestReport } from '../../rpc/actions.ts'
import { effectiveRunStrategy } from '../vm/strategy.ts'
import type { VmiContext } from './context.ts'
import { holdingsOf } from './placed.ts'
import { dropCondition, nowOf, setCondition } from './write.ts'

/** What has to be between the moment a node stops its guests by and the one in which they may start elsewhere. */
const FENCE_MARGIN_MS = 30_000
/**
 * The condition that a guest may be started elsewhere when its node is not heard of: its node has promised to stop it before.
 * It stands in the status, which no user can write, and is there before the node is lost or never.
 */
const FAILOVER_READY = 'FailoverReady'

type FailoverContext = Pick<VmiContext, 'config' | 'vms' | 'nodes' | 'clock' | 'startedMs' | 'watch'>

/**
 * Whether the guest is to be started elsewhere when its node is lost: its VM keeps it running, and nothing ties it to the
 * node.
 */
export function isFailoverWanted({ config, vms }: Pick<VmiContext, 'config' | 'vms'>, vmi: Vmi): boolean {
  if (config.failoverAfterMs === undefined) return false
  const owner = controllerOf(vmi)
  const vm = owner && vms.get(vmi.metadata.namespace, owner.name)
  if (!vm || vm.metadata.uid !== owner.uid || !keepsRunning(vm)) return false
  return !(vmi.spec.volumes ?? []).some(({ hostDisk }) => hostDisk !== undefined)
}

function keepsRunning({ spec }: Vm): boolean {
  const strategy = effectiveRunStrategy(spec)
  return strategy === 'Always' || strategy === 'RerunOnFailure'
}

/**
 * The VMI with the promise of its node, which is being listened to. Where it is not wanted (any more) it is taken away before
 * the node is told, as a node that is told does not keep it.
 */
export function withPromise(context: VmiContext, vmi: Vmi, report: GuestReport | undefined): Vmi {
  const { failoverAfterMs } = context.config
  if (failoverAfterMs === undefined || !isFailoverWanted(context, vmi)) {
    return findCondition(vmi.status?.conditions, FAILOVER_READY) ? dropCondition(vmi, FAILOVER_READY) : vmi
  }
  if (!report) return vmi
  const { failoverSeconds } = report
  const isSoon = failoverSeconds !== undefined && failoverSeconds * 1000 + FENCE_MARGIN_MS <= failoverAfterMs
  const condition = isSoon
    ? ({ type: FAILOVER_READY, status: 'True' } as const)
    : ({
        type: FAILOVER_READY,
        status: 'False',
        reason: failoverSeconds === undefined ? 'NodeNotFenced' : 'FencedTooLate',
        message:
          'the guest would not be stopped in time on a node that is lost: it is started elsewhere only once the Node is ' +
          'deleted or has the taint node.kubernetes.io/out-of-service',
      } as const)
  return setCondition(vmi, condition, nowOf(context))
}

/** Whether the guest's node has promised to stop it in time. */
export function isPromised({ status }: Vmi): boolean {
  return isTrue(status?.conditions, FAILOVER_READY)
}

/**
 * Milliseconds until the guest may be started elsewhere; 0 or less once its node has stopped it for certain. `undefined` where
 * that will never be known. Counted from the last answer that any leader can have got: our own, or the last before we led.
 */
export function failoverInMs(context: FailoverContext, vmi: Vmi, nodeName: string): number | undefined {
  const { config, nodes, clock, startedMs } = context
  if (config.failoverAfterMs === undefined || !isPromised(vmi)) return undefined
  // One that moves may be on either node.
  if (holdingsOf(vmi).length !== 1) return undefined
  const heardMs = nodes.lastHeardMs(nodeName)
  if (heardMs === undefined) return undefined
  return Math.max(heardMs, startedMs) + config.failoverAfterMs - monotonicMs(clock)
}

/** Whether the node is lost, and has stopped the guest. */
export function isLost(context: FailoverContext, vmi: Vmi, nodeName: string): boolean {
  const isHeard = context.nodes.find(nodeName) ?? context.watch.view(nodeName)?.connection.connected
  const leftMs = isHeard ? undefined : failoverInMs(context, vmi, nodeName)
  return leftMs !== undefined && leftMs <= 0
}
