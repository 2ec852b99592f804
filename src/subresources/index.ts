import { console } from './console.ts'
import { pause } from './pause.ts'
import { reset } from './reset.ts'
import { restart } from './restart.ts'
import { softreboot } from './softreboot.ts'
import { start } from './start.ts'
import { stop } from './stop.ts'
import type { Subresource } from './subresource.ts'
import { unpause } from './unpause.ts'
import { vnc } from './vnc.ts'

/** Every subresource that is served, in the order discovery lists them (contract 1.4). */
export const subresources: readonly Subresource[] = [
  vnc,
  console,
  pause,
  unpause,
  reset,
  softreboot,
  start,
  stop,
  restart,
]
