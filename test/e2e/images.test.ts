import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { GUEST_REFERENCE, type GuestImage, importGuest } from '../../src/guest/guest-image.ts'
import { writeIso } from '../../src/worker/images/iso.ts'
import { BareQemu } from '../helpers/bare-qemu.ts'
import { guestAssets, requireQemu } from '../helpers/guest.ts'
import { makeFolder, openTestStore } from '../helpers/images.ts'

const USER_DATA = '#!/bin/sh\necho "user data runs as $(id -u) on $(hostname)"\n'

requireQemu()('images and a real guest', () => {
  let guest: GuestImage
  beforeAll(async () => {
    guest = await guestAssets()
  })

  test('the guest boots from files that were taken out of its image', async () => {
    await using opened = await openTestStore()
    await importGuest(opened.store, guest)
    const image = await opened.store.ensure(GUEST_REFERENCE)
    const kernel = await opened.store.file(image, '/boot/vmlinuz')
    const initrd = await opened.store.file(image, '/boot/initrd.img')
    await using qemu = await BareQemu.start({ ...guest, kernel, initrd })
    await expect(qemu.waitFor(/GUEST-READY/)).resolves.toBeUndefined()
  })

  test.each([
    ['cidata', 'user-data', 'meta-data', { 'local-hostname': 'seeded' }, 'virtio-blk-pci,drive=seed'],
    [
      'config-2',
      'openstack/latest/user_data',
      'openstack/latest/meta_data.json',
      { hostname: 'seeded' },
      'scsi-cd,drive=seed',
    ],
  ])('the guest reads a seed labelled %s', async (label, userPath, metaPath, meta, device) => {
    await using folder = await makeFolder()
    const file = join(folder.path, 'seed.iso')
    await writeIso(file, { label, files: { [userPath]: USER_DATA, [metaPath]: JSON.stringify(meta) } })
    const drive = `if=none,id=seed,format=raw,readonly=on,file=${file}`
    const args = ['-device', 'virtio-scsi-pci', '-drive', drive, '-device', device]
    await using qemu = await BareQemu.start(guest, { args })
    const sum = createHash('sha256').update(USER_DATA).digest('hex')
    await qemu.waitFor(new RegExp(`seed ${label} on /dev/(vd|sr).*user-data sha256 ${sum}`))
    await qemu.waitFor(/user data runs as 0 on seeded[^]*Hello from virtgate guest seeded/)
    await expect(qemu.waitFor(/GUEST-READY/)).resolves.toBeUndefined()
  })

  test('the guest sees every file of an image under its whole name', async () => {
    await using folder = await makeFolder()
    const file = join(folder.path, 'config.iso')
    const files: Record<string, string> = { 'dir/Nested.File': 'n' }
    for (let at = 0; at < 60; at += 1) files[`${'k'.repeat(250 - String(at).length)}${at}`] = `value ${at}`
    await writeIso(file, { label: 'cfgdata', files })
    const args = ['-drive', `if=virtio,format=raw,readonly=on,file=${file}`]
    await using qemu = await BareQemu.start(guest, { args })
    await qemu.waitFor(/GUEST-READY/)
    qemu.type('modprobe isofs; mount -t iso9660 -o ro /dev/vda /mnt; cd /mnt; find . -type f | wc -L; ')
    qemu.type('for f in $(find . -type f | sort); do echo "$f=$(cat $f)"; done | sha256sum\n')
    const lines = Object.entries(files).map(([name, data]) => `./${name}=${data}\n`)
    const sum = createHash('sha256').update(lines.sort().join('')).digest('hex')
    await qemu.waitFor(new RegExp(sum))
    expect(qemu.serial).toContain('252')
  })
})
