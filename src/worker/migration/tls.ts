import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { QmpError } from '../../qemu/qmp/client.ts'
import type { MigrationTls } from '../../rpc/actions.ts'
import { syncFolder } from '../files/durable.ts'
import type { GuestFiles } from '../files/paths.ts'
import type { Machine } from '../guest/machine.ts'
import type { QemuUser } from '../user.ts'
import { formatDhParams } from './dh-params.ts'

/** Objects of QEMU. */
export const CREDS_ID = 'mig-tls'
export const AUTHZ_ID = 'mig-authz'

type Endpoint = 'server' | 'client'

/** Where the files of a migration's certificates stand: in memory, below a folder that QEMU cannot write to. */
export function tlsDir({ generated }: Pick<GuestFiles, 'generated'>): string {
  return join(generated, 'migration-tls')
}

/**
 * Writes certificate and key down, for QEMU's user alone, under the names that QEMU looks for.
 * Source: contract 5.1; https://www.qemu.org/docs/master/system/tls.html
 */
export async function writeTls(
  dir: string,
  endpoint: Endpoint,
  { ca, cert, key }: MigrationTls,
  user: QemuUser | undefined,
): Promise<void> {
  await rm(dir, { recursive: true, force: true })
  await mkdir(dir, { mode: 0o711 })
  const files = {
    'ca-cert.pem': ca,
    [`${endpoint}-cert.pem`]: cert,
    [`${endpoint}-key.pem`]: key,
    ...(endpoint === 'server' && { 'dh-params.pem': formatDhParams() }),
  }
  for (const [name, text] of Object.entries(files)) {
    await using handle = await open(join(dir, name), 'wx', 0o600)
    await handle.writeFile(text)
    if (user) await handle.chown(user.uid, user.gid)
    await handle.sync()
  }
  await syncFolder(dir)
}

/** Removes the files. */
export async function removeTlsFiles(dir: string): Promise<void> {
  await rm(dir, { recursive: true, force: true })
}

/**
 * Has QEMU load the certificates; a server admits the one peer of that name alone. What an earlier try has left is
 * replaced. The files are not needed afterwards. Throws as `Machine.command`.
 */
export async function addTls(
  machine: Pick<Machine, 'command'>,
  dir: string,
  endpoint: Endpoint,
  peerName: string,
): Promise<void> {
  await removeTls(machine)
  await machine.command('object-add', {
    'qom-type': 'tls-creds-x509',
    id: CREDS_ID,
    dir,
    endpoint,
    'verify-peer': true,
  })
  if (endpoint === 'client') return
  await machine.command('object-add', {
    'qom-type': 'authz-list',
    id: AUTHZ_ID,
    policy: 'deny',
    rules: [{ match: `CN=${peerName}`, policy: 'allow', format: 'exact' }],
  })
}

/** Makes QEMU forget them; where it has none, nothing happens. Throws as `Machine.command`. */
export async function removeTls(machine: Pick<Machine, 'command'>): Promise<void> {
  const objects = await machine.command<{ name: string }[]>('qom-list', { path: '/objects' })
  for (const id of [CREDS_ID, AUTHZ_ID]) {
    if (!objects.some(({ name }) => name === id)) continue
    await machine.command('object-del', { id }).catch((error: unknown) => {
      // A connection that just ends may hold on to it; the next migration replaces it.
      if (!(error instanceof QmpError)) throw error
    })
  }
}
