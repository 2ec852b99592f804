import { QmpError } from '../../qemu/qmp/client.ts'
import type { IncomingReply, MigrationTls } from '../../rpc/actions.ts'
import type { Machine } from '../guest/machine.ts'
import type { QemuUser } from '../user.ts'
import { type GuestFacts, sizesOf } from './facts.ts'
import { MigrationFailed } from './failure.ts'
import { CHANNELS, POST_COPY, stateUri, targetCapabilities, targetParameters } from './options.ts'
import { queryMigrate } from './query.ts'
import type { MirroredDisk } from './state.ts'
import { addTls, AUTHZ_ID, CREDS_ID, removeTlsFiles, writeTls } from './tls.ts'

/** What a QEMU that waits for its guest is set up with. */
export interface ListenOptions {
  facts: GuestFacts
  disks: readonly MirroredDisk[]
  /** IP address to listen on. */
  address: string
  tls: MigrationTls | undefined
  /** Where the certificates' files may stand meanwhile. */
  tlsDir: string
  user: QemuUser | undefined
}

/** Ports for copies of disks: QEMU does not tell which one it has chosen by itself. Source: contract 5.1. */
const DISK_PORTS = { from: 49_152, to: 49_215 } as const
const IN_USE = /in use/i

/**
 * Has a QEMU that was started with `-incoming defer` listen for its guest.
 *
 * Throws `MigrationFailed` where a disk is not as large as the source's, and as `Machine.command`.
 */
export async function listen(
  machine: Pick<Machine, 'command'>,
  options: ListenOptions,
): Promise<IncomingReply> {
  const { facts, disks, address, tls, tlsDir, user } = options
  await checkSizes(machine, facts)
  await machine.command('migrate-set-capabilities', { capabilities: targetCapabilities() })
  const postCopy = await takesPostCopy(machine)
  if (tls) {
    await writeTls(tlsDir, 'server', tls, user)
    try {
      await addTls(machine, tlsDir, 'server', tls.peerName)
    } catch (error) {
      throw error instanceof QmpError ? new MigrationFailed('tls', error.desc, error) : error
    } finally {
      await removeTlsFiles(tlsDir)
    }
  }
  await machine.command('migrate-set-parameters', targetParameters(tls !== undefined))
  const ports: Record<string, number> = {}
  if (disks.length > 0) ports[await exportDisks(machine, options)] = CHANNELS.disks
  await machine.command('migrate-incoming', { uri: stateUri(address, 0) })
  const { 'socket-address': sockets = [] } = await queryMigrate(machine)
  const port = sockets[0]?.port
  if (port === undefined) throw new MigrationFailed('internal', 'QEMU does not tell where it listens')
  ports[port] = CHANNELS.state
  return { address, ports, ...(postCopy && { postCopy }) }
}

/** QEMU itself would write over the end of a disk that is too small. Source: contract 0.2. */
async function checkSizes(machine: Pick<Machine, 'command'>, { disks }: GuestFacts): Promise<void> {
  const sizes = await sizesOf(machine)
  for (const { name, node, virtualBytes, role } of disks) {
    const here = sizes.get(node) ?? 0
    if (role === 'shared' ? here >= virtualBytes : here === virtualBytes) continue
    throw new MigrationFailed(
      'storage',
      `the disk ${name} has ${here} bytes on this node, and ${virtualBytes} at the source`,
    )
  }
}

/** Needs a kernel that lets QEMU's user handle page faults. Source: contract 1.10. */
async function takesPostCopy(machine: Pick<Machine, 'command'>): Promise<boolean> {
  try {
    await machine.command('migrate-set-capabilities', { capabilities: POST_COPY })
    return true
  } catch (error) {
    if (error instanceof QmpError) return false
    throw error
  }
}

/** Lets the source write to the disks; answers the port. */
async function exportDisks(
  machine: Pick<Machine, 'command'>,
  { disks, address, tls }: ListenOptions,
): Promise<string> {
  const port = await startServer(machine, address, tls !== undefined)
  for (const { node } of disks) {
    await machine.command('block-export-add', {
      type: 'nbd',
      id: `mig-${node}`,
      'node-name': node,
      name: node,
      writable: true,
    })
  }
  return port
}

async function startServer(
  machine: Pick<Machine, 'command'>,
  host: string,
  isEncrypted: boolean,
): Promise<string> {
  for (let number: number = DISK_PORTS.from; number <= DISK_PORTS.to; number += 1) {
    const port = String(number)
    try {
      await machine.command('nbd-server-start', {
        addr: { type: 'inet', data: { host, port } },
        ...(isEncrypted && { 'tls-creds': CREDS_ID, 'tls-authz': AUTHZ_ID }),
      })
      return port
    } catch (error) {
      if (!(error instanceof QmpError && IN_USE.test(error.desc))) throw error
    }
  }
  throw new MigrationFailed(
    'internal',
    `all ports from ${DISK_PORTS.from} to ${DISK_PORTS.to} are taken at ${host}`,
  )
}
