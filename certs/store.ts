import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { covers, isSignedBy, renewalTime, splitHosts, validityOf } from './inspect.ts'
import { createAuthority, issue, type KeyPair, type LeafRequest } from './issue.ts'
import { issueMigration, type MigrationSide } from './migration.ts'
import { keepAuthority, keepKey, keepLeaf, pairFiles, type PairFiles } from './pair-file.ts'
import { roleUri } from './roles.ts'

/** All certificates of an embedded installation, as they are now. */
export interface Certificates {
  /** Signs the serving pair and people's client certificates. PEM. */
  ca: string
  /** What the API shows its clients. */
  serving: KeyPair
  /** A client certificate in the group `system:masters`. */
  admin: KeyPair
  /** Signs what the parts of virtgate show each other. PEM. */
  internalCa: string
  /** Client pairs for calls to workers. */
  controller: KeyPair
  apiserver: KeyPair
  /** Serving pairs of the workers by the name of their node, which is also their only DNS name. */
  workers: ReadonlyMap<string, KeyPair>
  /** Signs the tokens of service accounts. P-256, PKCS #8 PEM. */
  serviceAccountKey: string
}

/** What a certificate store is for. */
export interface CertificateStoreOptions {
  /** Made with mode 0700 where it is missing. */
  dir: string
  /** Host names and addresses that clients reach the API at. */
  hosts: readonly string[]
  /** Nodes whose workers are separate processes. */
  workers?: readonly string[]
  now?: () => Date
  /** How often to look for pairs that are due. An hour where it is not stated. */
  checkEveryMs?: number
  /** Told of a renewal that failed; it is tried again at the next check. */
  onError: (error: unknown) => void
}

/** Keeps the certificates of an installation good for as long as it is open. */
export interface CertificateStore extends Disposable {
  current(): Certificates
  /** Calls back after each renewal, until the returned function is called. */
  onChange(listener: (certificates: Certificates) => void): () => void
  /** Replaces what is past two thirds of its life. Runs by itself; tests and impatient people call it. */
  renew(): Promise<void>
  /** A client certificate for a user: name and groups. It is kept nowhere. */
  issueClient(user: { name: string; groups?: readonly string[]; days: number }): Promise<KeyPair>
  /** Both sides' certificates of one migration, by the internal authority. They are kept nowhere. */
  issueMigration(migrationUid: string): Promise<{ source: MigrationSide; target: MigrationSide }>
  /** Where a pair stands on disk, for a process of its own: `worker-<node>`, `controller` or `apiserver`. */
  files(name: string): PairFiles & { ca: string }
}

const AUTHORITY_DAYS = 3650
const LEAF_DAYS = 365
const HOUR_MS = 60 * 60 * 1000

/** Opens `DIR/pki`: reuses what is good there and makes the rest. Throws `AuthorityKeyMissing`. */
export async function openCertificateStore(options: CertificateStoreOptions): Promise<CertificateStore> {
  const now = options.now ?? (() => new Date())
  await mkdir(options.dir, { recursive: true, mode: 0o700 })
  let { certificates, authority, internal } = await load(options, now())
  const listeners = new Set<(certificates: Certificates) => void>()
  let running: Promise<void> = Promise.resolve()

  async function reload(): Promise<void> {
    const loaded = await load(options, now())
    ;({ certificates, authority, internal } = loaded)
    if (loaded.changed) for (const listener of listeners) listener(certificates)
  }
  function renew(): Promise<void> {
    // One after the other; a failed one does not stop the next.
    running = running.then(reload, reload)
    return running
  }
  const timer = setInterval(() => void renew().catch(options.onError), options.checkEveryMs ?? HOUR_MS)
  timer.unref()

  return {
    current: () => certificates,
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    renew,
    issueClient: ({ name, groups = [], days }) =>
      issue(authority, { commonName: name, organizations: groups, usage: 'client', now: now(), days }),
    issueMigration: (migrationUid) => issueMigration(internal, migrationUid, now()),
    files: (name) => ({ ...pairFiles(options.dir, name), ca: pairFiles(options.dir, 'internal-ca').cert }),
    [Symbol.dispose]() {
      clearInterval(timer)
      listeners.clear()
    },
  }
}

interface Loaded {
  certificates: Certificates
  authority: KeyPair
  internal: KeyPair
  changed: boolean
}

async function load({ dir, hosts, workers = [] }: CertificateStoreOptions, now: Date): Promise<Loaded> {
  let changed = false
  const isYoung = (cert: string) =>
    validityOf(cert).notBefore <= now.getTime() && now.getTime() < renewalTime(cert)

  async function keepCa(name: string, commonName: string): Promise<KeyPair> {
    const kept = await keepAuthority(pairFiles(dir, name), isYoung, (key) =>
      createAuthority({ commonName, now, days: AUTHORITY_DAYS, key }),
    )
    changed ||= kept.changed
    return kept.pair
  }
  async function keep(
    name: string,
    by: KeyPair,
    request: Omit<LeafRequest, 'now' | 'days'>,
  ): Promise<KeyPair> {
    const isGood = (cert: string) => isYoung(cert) && isSignedBy(cert, by.cert) && covers(cert, request)
    const kept = await keepLeaf(pairFiles(dir, name), isGood, () =>
      issue(by, { ...request, now, days: LEAF_DAYS }),
    )
    changed ||= kept.changed
    return kept.pair
  }
  const keepCaller = (role: 'controller' | 'apiserver') =>
    keep(role, internal, { commonName: role, usage: 'client', uris: [roleUri({ role })] })

  const authority = await keepCa('ca', 'virtgate-ca')
  const internal = await keepCa('internal-ca', 'virtgate-internal-ca')
  const pairs = new Map<string, KeyPair>()
  for (const node of workers) pairs.set(node, await keep(`worker-${node}`, internal, workerRequest(node)))
  const certificates = {
    ca: authority.cert,
    serving: await keep('serving', authority, {
      commonName: 'virtgate-apiserver',
      usage: 'server',
      ...splitHosts(hosts),
    }),
    admin: await keep('admin', authority, {
      commonName: 'virtgate-admin',
      organizations: ['system:masters'],
      usage: 'client',
    }),
    internalCa: internal.cert,
    controller: await keepCaller('controller'),
    apiserver: await keepCaller('apiserver'),
    workers: pairs,
    serviceAccountKey: await keepKey(join(dir, 'service-account.key')),
  }
  return { certificates, authority, internal, changed }
}

/** The name goes into a file's name, too. */
function workerRequest(node: string): Omit<LeafRequest, 'now' | 'days'> {
  if (!/^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/.test(node)) {
    throw new RangeError(`${JSON.stringify(node)} is no DNS name`)
  }
  return {
    commonName: node,
    usage: 'server',
    dnsNames: [node],
    uris: [roleUri({ role: 'worker', node })],
  }
}
