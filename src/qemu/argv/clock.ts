import type { Build } from './build.ts'
import type { Pair } from './command-line.ts'
import { invalidConfig, unsupportedDevice } from './error.ts'
import { DOMAIN, oneOf } from './spec.ts'

const CLOCK = DOMAIN.child('clock')
const TIMER = CLOCK.child('timer')

/** The guest's clock and its timers, as `nowMs` (milliseconds since 1970) has it. */
export function addClock(build: Build, nowMs: number): void {
  const { rtc } = build.plan.spec.domain.clock?.timer ?? {}
  const at = TIMER.child('rtc')
  if (rtc?.present === false)
    throw unsupportedDevice(
      at.child('present'),
      'this machine always has a real-time clock: remove the field',
    )
  const track = oneOf(rtc?.track, ['guest', 'wall'], 'wall', at.child('track'))
  const policy = oneOf(rtc?.tickPolicy, ['delay', 'catchup'], 'delay', at.child('tickPolicy'))
  const pairs: Pair[] = [
    ['base', baseOf(build, nowMs)],
    ['clock', track === 'guest' ? 'vm' : 'host'],
  ]
  build.line.keyed('-rtc', policy === 'catchup' ? [...pairs, ['driftfix', 'slew']] : pairs)
  addHpet(build)
  addPit(build)
  addParavirtual(build)
}

function baseOf({ plan }: Build, nowMs: number): string {
  const { timezone, utc } = plan.spec.domain.clock ?? {}
  if (timezone) return localTime(timezone, nowMs)
  const offset = utc?.offsetSeconds ?? 0
  return offset === 0 ? 'utc' : isoSeconds(nowMs + offset * 1000)
}

/** Wall-clock time in that zone, without a suffix: QEMU's own `localtime` would be the host's zone. */
function localTime(timeZone: string, nowMs: number): string {
  try {
    const text = new Intl.DateTimeFormat('sv-SE', {
      timeZone,
      dateStyle: 'short',
      timeStyle: 'medium',
    }).format(nowMs)
    return text.replace(' ', 'T')
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw invalidConfig(
      CLOCK.child('timezone'),
      `${JSON.stringify(timeZone)} is no time zone: write one such as Europe/Paris`,
    )
  }
}

function isoSeconds(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19)
}

function addHpet({ plan, machine, degrade }: Build): void {
  const { hpet } = plan.spec.domain.clock?.timer ?? {}
  if (hpet?.present === false) machine.push(['hpet', false])
  else if (hpet?.tickPolicy && hpet.tickPolicy !== 'delay') {
    degrade(
      TIMER.child('hpet', 'tickPolicy'),
      `QEMU's HPET always delays lost ticks; ${hpet.tickPolicy} has no effect`,
    )
  }
}

function addPit({ plan, line, machine, degrade }: Build): void {
  const { pit } = plan.spec.domain.clock?.timer ?? {}
  const at = TIMER.child('pit')
  if (pit?.present === false) {
    machine.push(['pit', false])
    return
  }
  if (!pit?.tickPolicy) return
  const policy = oneOf(pit.tickPolicy, ['delay', 'discard'], 'delay', at.child('tickPolicy'))
  if (plan.accelerator === 'kvm') line.text('-global', `kvm-pit.lost_tick_policy=${policy}`)
  else if (policy === 'discard')
    degrade(at.child('tickPolicy'), 'lost ticks of the PIT can be discarded under KVM only; they are delayed')
}

function addParavirtual({ plan, cpuFlags, degrade }: Build): void {
  const { kvm, hyperv } = plan.spec.domain.clock?.timer ?? {}
  if (kvm?.present === false) cpuFlags.push('kvmclock=off')
  if (!hyperv || hyperv.present === false) return
  if (plan.accelerator === 'kvm') cpuFlags.push('hv-time=on')
  else degrade(TIMER.child('hyperv'), 'Hyper-V timers exist under KVM only; the guest uses its other timers')
}
