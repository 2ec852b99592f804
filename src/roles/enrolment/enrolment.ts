import { BadCertificateRequest, readRequest } from '../../../certs/request.ts'
import { isSignedBy } from '../../../certs/inspect.ts'
import { certify, type KeyPair } from '../../../certs/issue.ts'
import type { TokenReader } from '../../auth/service-account-tokens.ts'
import type { Enrolment, KnownWorker } from '../../http/enrolment-server.ts'
import { CHECK_IN_HOLD_MS, type IssuedCertificate } from '../../kinds/enrolment.ts'
import { looksLikeJoinToken } from '../../kinds/join-token.ts'
import { LEASES } from '../../kinds/table.ts'
import { WORKER_ISSUER, WORKER_TRUST, workerLeaseName } from '../../kinds/worker-lease.ts'
import { wait, type Clock } from '../../lib/clock.ts'
import { badRequest } from '../../lib/errors.ts'
import type { Log } from '../../lib/log.ts'
import { keyHash, publicKeyHash, splitBundle } from '../../lib/pem.ts'
import { bundleHash } from '../certificates/bundle-hash.ts'
import type { CertificateStorage } from '../certificates/outlets.ts'
import { workerWish } from '../certificates/wishes.ts'
import { nodeOf } from '../node-list.ts'
import type { WatchedTls } from '../watched-tls.ts'
import { registerWorker } from '../worker-registry.ts'
import { checkAccountToken } from './account-tokens.ts'
import { useJoinToken } from './join-tokens.ts'

/** What workers are enrolled with. */
export interface EnrolmentParts {
  store: CertificateStorage
  namespace: string
  /** Our own pair, which says who signs at this moment, and what is believed. */
  tls: WatchedTls
  /** The authority that signs at this moment. */
  signer(): Promise<KeyPair>
  /** Life of a certificate. */
  leafMs: number
  tokens: TokenReader
  clock: Clock
  log: Log
}

const DAY_MS = 24 * 60 * 60 * 1000

/** Gives workers their certificates, says what they are to believe, and writes down where they are. */
export function buildEnrolment(parts: EnrolmentParts): Enrolment {
  const { store, namespace, tls, clock, log } = parts
  let changed = new AbortController()
  tls.onChange(() => {
    // `tls` has the new content once its listeners were called.
    setImmediate(() => {
      changed.abort()
      changed = new AbortController()
    })
  })
  return {
    async enrol({ node, csr, token }) {
      checkNode(node)
      const key = await readKey(csr)
      if (looksLikeJoinToken(token)) {
        await useJoinToken({ store, namespace, clock }, token, { node, key: publicKeyHash(key) })
      } else await checkAccountToken(parts.tokens, namespace, token, node)
      log.info({ node }, 'a worker was enrolled')
      return issueFor(parts, node, key)
    },
    async renew({ node }, { csr }) {
      const issued = await issueFor(parts, node, await readKey(csr))
      log.info({ node }, 'the certificate of a worker was renewed')
      return issued
    },
    async checkIn(worker, { address, trust }, signal) {
      await writeDown(parts, worker, readAddress(worker.node, address), trust)
      const isNews = () => {
        const { ca } = tls.current()
        return bundleHash(ca) !== trust || issuerOf(worker.certificate, ca) !== activeIssuer(parts)
      }
      if (!isNews()) await wait(clock, CHECK_IN_HOLD_MS, AbortSignal.any([signal, changed.signal]))
      return { ca: tls.current().ca, issuer: activeIssuer(parts) }
    },
  }
}

async function readKey(csr: string) {
  try {
    return await readRequest(csr)
  } catch (error) {
    throw error instanceof BadCertificateRequest ? badRequest(error.message) : error
  }
}

async function issueFor(
  parts: EnrolmentParts,
  node: string,
  key: Awaited<ReturnType<typeof readRequest>>,
): Promise<IssuedCertificate> {
  const { tls, leafMs, clock } = parts
  const request = { ...workerWish(node), now: new Date(clock.now()), days: leafMs / DAY_MS }
  return { certificate: await certify(await parts.signer(), key, request), ca: tls.current().ca }
}

/** The Lease says where the worker is, and how far it has come with a new authority. */
async function writeDown(
  { store, namespace, tls, clock }: EnrolmentParts,
  { certificate }: KnownWorker,
  address: ReturnType<typeof readAddress>,
  trust: string,
): Promise<void> {
  const { metadata } = await registerWorker(store, { ...address, namespace }, clock)
  const issuer = issuerOf(certificate, tls.current().ca) ?? ''
  const wanted = { [WORKER_TRUST]: trust, [WORKER_ISSUER]: issuer }
  if (Object.entries(wanted).every(([name, value]) => metadata.annotations?.[name] === value)) return
  const body = { metadata: { annotations: wanted } }
  await store.patch(LEASES, namespace, workerLeaseName(address.name), { type: 'merge', body })
}

function activeIssuer({ tls }: EnrolmentParts): string {
  const { cert, ca } = tls.current()
  return issuerOf(cert, ca) ?? ''
}

function issuerOf(certificate: string, ca: string): string | undefined {
  const authority = splitBundle(ca).find((pem) => isSignedBy(certificate, pem))
  return authority && keyHash(authority)
}

function checkNode(node: string): void {
  asBadRequest(() => workerLeaseName(node))
}

function readAddress(node: string, address: string) {
  return asBadRequest(() => nodeOf(node, address, `the address ${JSON.stringify(address)}`))
}

function asBadRequest<T>(run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw error instanceof RangeError ? badRequest(error.message) : error
  }
}
