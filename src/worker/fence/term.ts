import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isRecord } from '../../lib/json.ts'
import { type Fence, staleLeader } from '../../rpc/fence.ts'
import { writeDurably } from '../files/durable.ts'
import { unlessMissing } from '../files/errno.ts'

/**
 * The latest term of a leader that has called, kept in the state directory. Throws where that cannot be read: without it
 * a former leader could not be told from the present one.
 */
export async function openTerm(stateDir: string): Promise<Pick<Fence, 'admit'>> {
  const file = join(stateDir, 'leader.json')
  let latest = await readTerm(file)
  let written = latest
  let writing: Promise<void> = Promise.resolve()

  async function keep(): Promise<void> {
    if (written >= latest) return
    const epoch = latest
    await writeDurably(file, JSON.stringify({ epoch }))
    written = epoch
  }

  return {
    async admit(epoch) {
      if (epoch < latest) throw staleLeader(epoch, latest)
      latest = epoch
      // One after the other; whoever comes next does not share the failure of this one.
      const kept = writing.then(keep)
      writing = kept.catch(() => {})
      await kept
    },
  }
}

async function readTerm(file: string): Promise<number> {
  const text = await unlessMissing(readFile(file, 'utf8'))
  if (text === undefined) return 0
  const { epoch } = parse(text)
  if (Number.isSafeInteger(epoch)) return Number(epoch)
  throw new Error(
    `${file} holds no term of a leader: restore it, or remove it once no former controller runs`,
  )
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return isRecord(value) ? value : {}
  } catch {
    // Told in one way, whatever stands there.
    return {}
  }
}
