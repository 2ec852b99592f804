import type { Vmi } from '../../kinds/kubevirt.ts'
import { VMIS } from '../../kinds/table.ts'
import type { Actions, IncomingReply, SyncRequest } from '../../rpc/actions.ts'
import { guestClaims } from '../vmi/claims.ts'
import { guestConfig } from '../vmi/config.ts'
import { epochOf, incomingOf } from '../vmi/placed.ts'
import { resolveReferences } from '../vmi/references.ts'
import type { MigrationContext } from './context.ts'
import type { Readiness } from './desk.ts'
import { askSide } from './flight.ts'
import type { Flight } from './flight.ts'
import { failureOf, isRefusal } from './refusal.ts'
import { transferOptions } from './settings.ts'
import { endFailed, nowOf, note } from './write.ts'

/** Milliseconds between looks at a node that is away. */
const AWAY_MS = 10_000
/** Milliseconds until a pass is repeated that another one has overtaken. */
const STALE_MS = 100

/**
 * Has the target make ready for the guest, then the source send it. Each step may be repeated: by a controller that
 * has just started, and after a restart of the target's worker. Source: contract worker-qemu 5.2, steps 1 to 4.
 */
export async function prepare(context: MigrationContext, flight: Flight): Promise<Vmi> {
  const { vmi, ref, source, target } = flight
  const { actions: from } = source
  const { actions: to, view } = target
  if (!from || !to || !view) {
    context.again(AWAY_MS)
    return vmi
  }
  const readiness = context.desk.readinessOf(
    ref.migrationUid,
    view.connection.session,
    (signal) => makeReady(context, flight, { from, to, signal }),
    () => context.again(0),
  )
  if (!readiness) return vmi
  if ('error' in readiness) throw readiness.error
  if ('refusal' in readiness) return endFailed(context, flight, { reason: readiness.refusal })
  const { address, ports } = readiness.reply
  const noted = await note(context, vmi, {
    targetNodeAddress: address,
    targetDirectMigrationNodePorts: ports,
  })
  // The news of that write brings the next pass.
  return noted === vmi ? send(context, flight, from, readiness.reply) : noted
}

async function makeReady(
  context: MigrationContext,
  { vmi, ref, state }: Flight,
  { from, to, signal }: { from: Actions; to: Actions; signal: AbortSignal },
): Promise<Readiness> {
  try {
    const facts = await from.migrationFacts(ref, signal)
    const sync = await buildSync(context, vmi)
    const { disableTLS, network } = state.migrationConfiguration ?? {}
    const tls = await credentialsOf(context, ref.migrationUid, disableTLS)
    const request = { ...ref, sync, facts, ...(tls && { tls: tls.target }), ...(network && { network }) }
    return { reply: await to.prepareIncoming(request, signal) }
  } catch (error) {
    if (isRefusal(error)) return { refusal: failureOf(error, 'incompatible-target') }
    throw error
  }
}

/** The guest as it is to be on the target. What has vanished since it was started is not needed there either. */
async function buildSync(context: MigrationContext, vmi: Vmi): Promise<SyncRequest> {
  const { namespace } = vmi.metadata
  const { secrets, configMaps, networks } = await resolveReferences(context.store, namespace, vmi.spec)
  const epoch = incomingOf(vmi)?.epoch ?? epochOf(vmi) + 1
  return {
    epoch,
    vmi,
    secrets,
    configMaps,
    ...(Object.keys(networks).length > 0 && { networks }),
    ...guestClaims(context.claims, vmi),
    config: guestConfig(context),
  }
}

async function credentialsOf(
  { desk, migrationCertificates }: MigrationContext,
  uid: string,
  disableTLS: boolean | undefined,
) {
  return disableTLS ? undefined : desk.certificates(uid, () => migrationCertificates.issue(uid))
}

async function send(
  context: MigrationContext,
  flight: Flight,
  source: Actions,
  target: IncomingReply,
): Promise<Vmi> {
  const { vmi, ref, state } = flight
  const { metadata } = vmi
  const live = await context.store.get(VMIS, metadata.namespace, metadata.name)
  if (live?.metadata.resourceVersion !== metadata.resourceVersion) {
    // The migration may have been ended since: the guest is not sent by what is no longer so.
    context.again(STALE_MS)
    return vmi
  }
  const settings = state.migrationConfiguration
  const tls = await credentialsOf(context, ref.migrationUid, settings?.disableTLS)
  const options = transferOptions(settings)
  const request = { ...ref, epoch: epochOf(vmi), target, options, ...(tls && { tls: tls.source }) }
  try {
    await source.startOutgoing(request, context.signal)
  } catch (error) {
    if (!isRefusal(error)) throw error
    const said = await askSide(context, ref, flight.source)
    if (said === undefined || said === 'gone') {
      return endFailed(context, flight, { reason: failureOf(error, 'internal') })
    }
    // It has begun already, and the answer was lost.
  }
  const said = await askSide(context, ref, flight.source)
  const startTime = typeof said === 'object' ? said.startTime : undefined
  context.events.record(vmi, 'Normal', 'Migrating', `The guest is being moved to node ${state.targetNode}.`)
  return note(context, vmi, { startTimestamp: startTime ?? nowOf(context), mode: 'PreCopy' })
}
