/** Sessions of people with guests. Source: contract metrics.md, section 2. */
import type { Clock } from '../lib/clock.ts'
import type { MetricSource, Reading } from './reading.ts'

/** Which of them are counted, and where: by the names of their subresources. */
const FAMILY_OF: Readonly<Record<string, string>> = {
  console: 'kubevirt_console_active_connections',
  vnc: 'kubevirt_vnc_active_connections',
  portforward: 'kubevirt_portforward_active_tunnels',
  usbredir: 'kubevirt_usbredir_active_connections',
}
const LAST = 'kubevirt_vmi_last_api_connection_timestamp_seconds'

/** VMIs that are looked for in one scrape; the others wait for the next. */
const LOOKS = 256
/** Of those at the same time. */
const LANES = 8

/** Whose session it is. */
export interface SessionTarget {
  namespace: string
  name: string
}

/** Counts the sessions that have come to carry bytes. */
export interface SessionCounter {
  /** One more, until what this answers is disposed of. `kind` is the name of the subresource. */
  open(kind: string, target: SessionTarget): Disposable
}

/** What the counter needs. */
export interface SessionSourceOptions {
  /** Whether there is a VMI of that name. Where it throws, its series stay. */
  exists: (target: SessionTarget, signal: AbortSignal) => Promise<boolean>
  clock: Pick<Clock, 'now'>
}

interface Vmi extends SessionTarget {
  open: Map<string, number>
  endedMs?: number
}

/** Series of a VMI stay until it is gone and nobody is connected to it: looked for at each scrape. */
export function openSessionSource({ exists, clock }: SessionSourceOptions): SessionCounter & MetricSource {
  /** Those looked for last stand at the end. */
  const vmis = new Map<string, Vmi>()

  async function look(key: string, vmi: Vmi, signal: AbortSignal): Promise<void> {
    const isThere = await exists(vmi, signal).catch(() => true)
    if (vmis.get(key) !== vmi) return
    vmis.delete(key)
    if (isThere || isConnected(vmi)) vmis.set(key, vmi)
  }

  return {
    source: 'sessions',
    open(kind, { namespace, name }) {
      const family = FAMILY_OF[kind]
      if (family === undefined) return { [Symbol.dispose]() {} }
      const key = `${namespace}/${name}`
      const vmi: Vmi = vmis.get(key) ?? { namespace, name, open: new Map() }
      vmis.set(key, vmi)
      vmi.open.set(family, (vmi.open.get(family) ?? 0) + 1)
      let isOpen = true
      return {
        [Symbol.dispose]() {
          if (!isOpen) return
          isOpen = false
          vmi.open.set(family, (vmi.open.get(family) ?? 1) - 1)
          vmi.endedMs = clock.now()
        },
      }
    },
    async collect(signal) {
      const idle = [...vmis].filter(([, vmi]) => !isConnected(vmi)).slice(0, LOOKS)
      const rest = idle.values()
      const lane = async (): Promise<void> => {
        for (const [key, vmi] of rest) {
          if (signal.aborted) return
          await look(key, vmi, signal)
        }
      }
      await Promise.all(Array.from({ length: LANES }, lane))
      return [...vmis.values()].flatMap(readingsOf)
    },
  }
}

function isConnected({ open }: Vmi): boolean {
  return open.values().some((count) => count > 0)
}

function readingsOf({ namespace, name, open, endedMs }: Vmi): Reading[] {
  const labels = { namespace, vmi: name }
  const counts = [...open].map(([family, value]): Reading => ({ name: family, labels, value }))
  return endedMs === undefined ? counts : [...counts, { name: LAST, labels, value: endedMs / 1000 }]
}
