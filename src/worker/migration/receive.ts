import type { IncomingRequest } from '../../rpc/actions.ts'
import type { Machine } from '../guest/machine.ts'
import type { Arrival } from '../guest/prepare.ts'
import { startGuest, type StartOptions } from '../guest/start.ts'
import { endQemu } from '../guest/stop.ts'
import { addressOn } from './address.ts'
import { type GuestFacts, mirroredOf, unwrapFacts } from './facts.ts'
import { MigrationFailed } from './failure.ts'
import { countRootPorts, differenceOf, hardwareOf } from './hardware.ts'
import { makeIncomingDisks } from './incoming-disks.ts'
import { listen } from './listen.ts'
import { asItRuns, checkTarget } from './target-check.ts'
import { tlsDir } from './tls.ts'

/**
 * Makes all that a guest needs here and starts a QEMU that waits for it; writes down where that listens.
 *
 * Throws `MigrationFailed`, what starting a guest throws, and the reason of `signal`; then no QEMU is left.
 */
export async function receiveGuest(request: IncomingRequest, options: StartOptions): Promise<Machine> {
  const { parts, record, files } = options
  const facts = unwrapFacts(request.facts)
  checkTarget(facts, parts)
  const { sync, tls, network } = request
  const address = addressOn(network, parts)
  const machine = await startGuest(
    { ...sync, vmi: asItRuns(sync.vmi, facts) },
    { ...options, arrival: arrivalOf(facts) },
  )
  try {
    const reply = await listen(machine, {
      facts,
      disks: mirroredOf(facts),
      address,
      tls,
      tlsDir: tlsDir(files),
      user: record.state.launch?.user,
    })
    const { migration } = record.state
    if (migration?.side !== 'target') throw new MigrationFailed('aborted', 'it was cancelled')
    await record.keep({ migration: { ...migration, step: 'ready', reply }, message: undefined })
    return machine
  } catch (error) {
    await endQemu(machine.process, machine, new AbortController().signal)
    await machine[Symbol.asyncDispose]()
    await record.keep({ process: undefined, launch: undefined })
    throw error
  }
}

function arrivalOf(facts: GuestFacts): Arrival {
  const { machineType, slots, images, hardware, plugged = [], leases = {} } = facts
  return {
    machineType,
    slots,
    rootPorts: countRootPorts(hardware),
    images,
    plugged,
    leases,
    makeDisks: (context) => makeIncomingDisks(facts, context),
    check({ argv }) {
      const difference = differenceOf(hardware, hardwareOf(argv))
      if (difference === undefined) return
      throw new MigrationFailed(
        'incompatible-target',
        `the guest's hardware is not what its spec would make here: ${difference}; restart it first`,
      )
    },
  }
}
