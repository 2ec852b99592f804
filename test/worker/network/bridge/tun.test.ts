import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openTunToAll } from '../../../../src/worker/network/bridge/tun.ts'

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'vg-tun-'))
  onTestFinished(() => rm(made, { recursive: true }))
  return made
}

test('what root alone may open is opened to all, and stays so', async () => {
  const tun = join(await folder(), 'tun')
  await writeFile(tun, '', { mode: 0o600 })
  await openTunToAll(tun)
  expect((await stat(tun)).mode & 0o777).toBe(0o666)
  await openTunToAll(tun)
  expect((await stat(tun)).mode & 0o777).toBe(0o666)
})

test('where there is none, the guest is told what to do', async () => {
  const tun = join(await folder(), 'tun')
  await expect(openTunToAll(tun)).rejects.toThrow(
    `guests on bridges need ${tun}, with the mode 0666: ENOENT: no such file or directory, stat '${tun}'. ` +
      `Run modprobe tun && chmod 0666 ${tun}`,
  )
})
