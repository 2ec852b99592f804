import type { Build } from './build.ts'
import type { Pair } from './command-line.ts'
import { invalidConfig, resourceMissing } from './error.ts'
import { checkText, DOMAIN, isOn } from './spec.ts'

const FIRMWARE = DOMAIN.child('firmware')
const BOOTLOADER = FIRMWARE.child('bootloader')
/** What the kernel itself cuts its command line to on this architecture. */
const KERNEL_ARGS_LIMIT = 2048
const SPLASH_MS = 10_000

/** How the guest's first instruction is found: BIOS or EFI, a kernel from outside, the boot menu. */
export function addFirmware(build: Build): void {
  const { bootloader } = build.plan.spec.domain.firmware ?? {}
  if (bootloader?.efi && bootloader.bios)
    throw invalidConfig(BOOTLOADER, 'names both bios and efi: remove one')
  if (bootloader?.efi) addEfi(build)
  // SeaBIOS talks to the serial port where the machine says that it has no display.
  if (bootloader?.bios?.useSerial) build.machine.push(['graphics', false])
  addKernel(build)
  addBoot(build)
}

function addEfi({ plan, line, machine }: Build): void {
  const { efi, spec } = plan
  const isSecure = spec.domain.firmware?.bootloader?.efi?.secureBoot !== false
  const at = BOOTLOADER.child('efi')
  if (!efi)
    throw resourceMissing(at, 'this node has no EFI firmware: install the package ovmf (or edk2-ovmf)')
  if (isSecure && !efi.secureBoot) {
    throw resourceMissing(
      at.child('secureBoot'),
      'this node has no EFI firmware with Secure Boot keys: install one, or set secureBoot to false',
    )
  }
  line.json('-blockdev', flash('pf0', efi.code, true))
  line.json('-blockdev', flash('pf1', efi.vars, false))
  machine.push(['pflash0', 'pf0'], ['pflash1', 'pf1'])
  if (!isSecure) return
  if (spec.domain.features?.smm && !isOn(spec.domain.features.smm)) {
    throw invalidConfig(
      DOMAIN.child('features', 'smm'),
      'Secure Boot needs system management mode: enable smm, or set efi.secureBoot to false',
    )
  }
  line.keyed('-global', [
    ['driver', 'cfi.pflash01'],
    ['property', 'secure'],
    ['value', true],
  ])
  line.text('-global', 'ICH9-LPC.disable_s3=1')
}

function flash(node: string, filename: string, readOnly: boolean): object {
  const file = { driver: 'file', 'node-name': `${node}-file`, filename, 'read-only': readOnly }
  return { driver: 'raw', 'node-name': node, 'read-only': readOnly, file }
}

function addKernel({ plan, line }: Build): void {
  const { kernelBoot } = plan.spec.domain.firmware ?? {}
  const at = FIRMWARE.child('kernelBoot')
  const { kernel, initrd } = plan.kernelBoot ?? {}
  const args = plan.kernelBoot?.args ?? kernelBoot?.kernelArgs
  if (args && !kernel)
    throw invalidConfig(
      at.child('kernelArgs'),
      'there is no kernel to take arguments: name an image and kernelPath',
    )
  if (initrd && !kernel)
    throw invalidConfig(
      at.child('container', 'initrdPath'),
      'there is no kernel to load it: name its kernelPath',
    )
  if (kernelBoot?.container && !kernel)
    throw invalidConfig(
      at.child('container', 'kernelPath'),
      'no kernel was found: name its path in the image',
    )
  if (kernel) line.text('-kernel', kernel)
  if (initrd) line.text('-initrd', initrd)
  if (args) line.text('-append', checkText(args, at.child('kernelArgs'), KERNEL_ARGS_LIMIT))
}

/** Only what has a boot order is tried. A guest that starts paused gives its user time for the menu. */
function addBoot({ plan, line }: Build): void {
  const menu: Pair[] = [
    ['menu', true],
    ['splash-time', SPLASH_MS],
  ]
  line.keyed('-boot', [['strict', true], ...(plan.spec.startStrategy === 'Paused' ? menu : [])])
}
