import { type Build, virtioDriver, virtioPlace } from './build.ts'
import { DEVICES } from './spec.ts'

/** Tells how the guest uses its memory, and gives back what it does not; huge pages are not given back in pieces. */
export function addBalloon(build: Build): void {
  const { devices, memory } = build.plan.spec.domain
  if (devices.autoattachMemBalloon === false) return
  const at = DEVICES.child('autoattachMemBalloon')
  build.line.device(at, {
    driver: virtioDriver(build, 'balloon'),
    id: 'balloon0',
    'free-page-reporting': memory?.hugepages === undefined,
    ...virtioPlace(build, 'balloon0', at),
  })
}
