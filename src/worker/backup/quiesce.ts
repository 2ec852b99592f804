import type { WorkerParts } from '../parts.ts'
import { freeze, thaw } from '../agent/freeze.ts'
import type { Operation } from '../guest/guest.ts'

/** What keeping a guest still takes. */
export type QuiesceParts = Operation & { parts: Pick<WorkerParts, 'clock' | 'log'> }

/** A guest that cannot thaw is thawed by the loop after so long. */
const FROZEN_MS = 15_000

/**
 * Does something with the guest's file systems standing still, where it has an agent that can do that; they go on
 * whatever comes of it. A guest that somebody has frozen before stays so. Throws what `act` throws.
 */
export async function quiesced(
  { machine, record, parts }: QuiesceParts,
  isSkipped: boolean,
  act: () => Promise<void>,
): Promise<void> {
  if (isSkipped || !machine.hasAgent || record.state.frozen) return act()
  try {
    await freeze({ machine, record }, { thawAtMs: parts.clock.now() + FROZEN_MS })
  } catch (error) {
    parts.log.warn({ err: error, vmi: record.state.guest }, 'a guest is backed up without being frozen')
    const message = 'The guest agent could not freeze the file systems: the backup is as of a power failure.'
    await record.keep(record.withEvents(['Warning', 'BackupError', message]))
    return act()
  }
  try {
    await act()
  } finally {
    // Where this fails the loop does it when its time has come.
    await thaw({ machine, record }).catch((error: unknown) => {
      parts.log.warn({ err: error, vmi: record.state.guest }, 'a guest does not thaw after its backup began')
    })
  }
}
