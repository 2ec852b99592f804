import type { MachinePlan } from '../plan.ts'
import { addBalloon } from './balloon.ts'
import { bootIndexesOf } from './boot-order.ts'
import type { Build, Degraded } from './build.ts'
import { addClock } from './clock.ts'
import { CommandLine } from './command-line.ts'
import { addGuestAgent, addMonitors, addSerialConsole } from './console.ts'
import { addCpu, addTopology, countVcpus, formatMachine } from './cpu.ts'
import { addDisks } from './disks.ts'
import { slotsOfLuns } from './luns.ts'
import { addDisplay } from './display.ts'
import { addFeatures } from './features.ts'
import { checkFields } from './fields.ts'
import { addFirmware } from './firmware.ts'
import { buildPorts } from './fixed-slots.ts'
import { addBase, addMachine } from './machine.ts'
import { addLaunchSecurity } from './launch-security.ts'
import { addMemory, guestMemoryBytes } from './memory.ts'
import { addNetwork, linksDownOf } from './network.ts'
import { addPanicDevices } from './panic.ts'
import { addRng } from './rng.ts'
import { addSmbios } from './smbios.ts'
import { addSound } from './sound.ts'
import { DEVICES } from './spec.ts'
import { addUsb } from './usb.ts'
import { addVsock } from './vsock.ts'
import { addWatchdog } from './watchdog.ts'

export { nodeNamesOf } from './block-nodes.ts'
export type { Degraded } from './build.ts'
export { GuestConfigError } from './error.ts'
export { macOf } from './mac.ts'

/** A command line, and what to know and do beside it. */
export interface BuiltArgv {
  /** Arguments of the binary. */
  argv: string[]
  /** Device id → slot: to be kept, and given again in the next plan. */
  slots: Record<string, string>
  /** Ids of network cards to `set_link` down before the guest runs: no argument can say it. */
  linksDown: string[]
  /** What the guest has to do without; each worth a `Warning` Event. */
  degraded: Degraded[]
}

/** Everything a guest is made of. Devices without a slot of their own take the next one in this order. */
const GROUPS: readonly ((build: Build) => void)[] = [
  addMachine,
  addTopology,
  addMemory,
  addFirmware,
  addSmbios,
  addFeatures,
  addMonitors,
  addSerialConsole,
  addDisplay,
  addUsb,
  addDisks,
  addGuestAgent,
  addNetwork,
  addRng,
  addBalloon,
  addSound,
  addWatchdog,
  addPanicDevices,
  addLaunchSecurity,
  addVsock,
]

/**
 * The command line of QEMU for a guest. Pure but for `nowMs`, which a clock that is off by some seconds is set by.
 *
 * Throws `GuestConfigError` where the guest cannot be what its spec asks for: no field that shapes its hardware is
 * left out silently.
 */
export function buildArgv(plan: MachinePlan, nowMs = Date.now()): BuiltArgv {
  checkFields(plan.spec)
  const head = new CommandLine()
  const degraded: Degraded[] = []
  const build: Build = {
    plan,
    line: new CommandLine(plan.deviceTypes),
    ports: buildPorts(plan),
    machine: [],
    cpuFlags: [],
    actions: [],
    vcpus: countVcpus(plan),
    memoryBytes: guestMemoryBytes(plan),
    luns: new Map(),
    bootIndexes: bootIndexesOf(plan),
    degrade: (field, message) => void degraded.push({ field: String(field), message }),
  }
  for (const add of GROUPS) add(build)
  addClock(build, nowMs)
  addHead(build, head)
  return {
    argv: [...head.args, ...build.line.args],
    slots: { ...build.ports.slots, ...slotsOfLuns(build.luns) },
    linksDown: linksDownOf(plan.spec),
    degraded,
  }
}

/** What has to be collected from all groups, or has to be there before the first device that is plugged into it. */
function addHead(build: Build, head: CommandLine): void {
  const { plan, ports, memoryBytes, actions } = build
  addBase({ ...build, line: head })
  head.text('-machine', formatMachine(build))
  addCpu({ ...build, line: head })
  if (actions.length > 0) head.keyed('-action', actions)
  const hotplug = plan.spec.domain.devices.disableHotplug !== true
  for (const port of ports.devices(memoryBytes, hotplug, plan.rootPorts)) head.device(DEVICES, port)
}
