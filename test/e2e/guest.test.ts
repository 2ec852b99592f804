import { beforeAll, expect, test } from 'vitest'
import type { GuestImage } from '../../src/guest/guest-image.ts'
import { BareQemu } from '../helpers/bare-qemu.ts'
import { guestAssets, requireQemu } from '../helpers/guest.ts'

requireQemu()('the guest made from Debian packages', () => {
  let guest: GuestImage
  beforeAll(async () => {
    guest = await guestAssets()
  })

  test('boots, greets, answers at its console, and shuts down at the power button', async () => {
    const net = ['-netdev', 'user,id=net', '-device', 'virtio-net-pci,netdev=net']
    await using qemu = await BareQemu.start(guest, { kernelArgs: 'virtgate.hostname=tester', args: net })
    const began = performance.now()
    await qemu.waitFor(/Linux version \d/)
    await qemu.waitFor(/Hello from virtgate guest tester/)
    await qemu.waitFor(/GUEST-READY [\d.]+/)
    console.log(`boot to GUEST-READY: ${Math.round(performance.now() - began)} ms`)
    qemu.type('until [ -s /run/eth0.address ]; do usleep 100000; done; echo "at $(cat /run/eth0.address)"\n')
    await qemu.waitFor(/\nat 10\.0\.2\.15/)
    await qemu.command('system_powerdown')
    expect(await qemu.exitCode(20_000)).toBe(0)
    expect(qemu.serial).toContain('virtgate-guest: powering off')
  })

  test('ignores the power button when it is told to, and runs commands of its kernel arguments', async () => {
    const kernelArgs = 'virtgate.deaf=1 virtgate.run=echo+ran-as+$(id+-u)'
    await using qemu = await BareQemu.start(guest, { kernelArgs })
    await qemu.waitFor(/\nran-as 0/)
    await qemu.command('system_powerdown')
    expect(await qemu.exitCode(2000)).toBeUndefined()
    qemu.type('echo still-$((40+2))\n')
    await qemu.waitFor(/still-42/)
  })
})
