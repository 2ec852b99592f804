import { type Build, virtioDriver, virtioPlace } from './build.ts'
import { DEVICES } from './spec.ts'

/** A source of randomness, fed from the host's. */
export function addRng(build: Build): void {
  if (!build.plan.spec.domain.devices.rng) return
  const at = DEVICES.child('rng')
  build.line.json('-object', { 'qom-type': 'rng-random', id: 'rng0', filename: '/dev/urandom' })
  build.line.device(at, {
    driver: virtioDriver(build, 'rng'),
    id: 'rngdev0',
    rng: 'rng0',
    ...virtioPlace(build, 'rngdev0', at),
  })
}
