import type { Build } from './build.ts'
import { hasDisplay } from './display.ts'
import { DEVICES, deviceId, oneOf } from './spec.ts'

/** USB devices that a client may bring along at once. Source: contract 1.9. */
const CLIENT_SLOTS = 4
const INPUTS = DEVICES.child('inputs')

type Bus = 'usb' | 'virtio'

interface Tablet {
  id: string
  bus: Bus
  at: typeof INPUTS
}

/** The USB controller where anything needs one, the pointers, and places for devices of clients. */
export function addUsb(build: Build): void {
  const tablets = tabletsOf(build)
  const { clientPassthrough, disks = [] } = build.plan.spec.domain.devices
  const hasUsbDisk = disks.some(({ disk, cdrom, lun }) =>
    [disk, cdrom, lun].some((target) => target?.bus === 'usb'),
  )
  if (clientPassthrough || hasUsbDisk || tablets.some(({ bus }) => bus === 'usb')) {
    build.line.device(DEVICES, {
      driver: 'qemu-xhci',
      id: 'usb',
      p2: 15,
      p3: 15,
      ...build.ports.express('usb', DEVICES),
    })
  }
  for (const tablet of tablets) addTablet(build, tablet)
  if (clientPassthrough) addClientSlots(build)
}

/** Pointers the spec asks for. A display without one gets one, as the pointer of a mouse drifts over VNC. */
function tabletsOf(build: Build): Tablet[] {
  const { inputs = [], autoattachInputDevice } = build.plan.spec.domain.devices
  if (inputs.length === 0 && autoattachInputDevice !== false && hasDisplay(build)) {
    return [{ id: 'tablet0', bus: 'usb', at: INPUTS }]
  }
  return inputs.map(({ name, bus, type }, index) => {
    const at = INPUTS.index(index)
    oneOf(type, ['tablet'], 'tablet', at.child('type'))
    return {
      id: deviceId(name, at.child('name')),
      bus: oneOf(bus, ['usb', 'virtio'], 'usb', at.child('bus')),
      at,
    }
  })
}

function addTablet({ line, ports }: Build, { id, bus, at }: Tablet): void {
  if (bus === 'usb') line.device(at, { driver: 'usb-tablet', id, bus: 'usb.0' })
  else line.device(at, { driver: 'virtio-tablet-pci', id, ...ports.express(id, at) })
}

function addClientSlots({ plan, line }: Build): void {
  for (let index = 0; index < CLIENT_SLOTS; index++) {
    line.socket(`ur${index}`, `${plan.paths.runDir}/usbredir${index}.sock`)
    line.device(DEVICES.child('clientPassthrough'), {
      driver: 'usb-redir',
      id: `usbredir${index}`,
      chardev: `ur${index}`,
      bus: 'usb.0',
    })
  }
}
