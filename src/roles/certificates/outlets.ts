/** Where an authority and what it has signed are published; each is looked at, and brought to what it should be. */
import { covers, isPair, isSignedBy, renewalTime, validityOf } from '../../../certs/inspect.ts'
import { issue, type LeafRequest } from '../../../certs/issue.ts'
import { bundleOf, type Authority } from '../../../certs/rotation.ts'
import type { Secret } from '../../kinds/core.ts'
import type { Kind } from '../../kinds/kind.ts'
import type { Draft } from '../../kinds/meta.ts'
import type { ApiService, WebhookConfiguration } from '../../kinds/registrations.ts'
import { API_SERVICES, CONFIGMAPS, SECRETS } from '../../kinds/table.ts'
import type { Clock } from '../../lib/clock.ts'
import { unlessNotFound } from '../../lib/errors.ts'
import type { JsonPatchOperation, ObjectReader, ObjectWriter } from '../../store/store.ts'
import { decodeSecret, encodeSecret } from './secret-data.ts'

/** All that keeping certificates asks of a store. */
export type CertificateStorage = Pick<ObjectReader, 'get'> & Pick<ObjectWriter, 'create' | 'update' | 'patch'>

/** What is right at this moment, once the authority has been read. */
export type Write = (authority: Authority) => Promise<void>

/**
 * One object that follows an authority. It is looked at before the authority is read, and written only if nobody else
 * has since: so whoever acts on an old authority fails instead of undoing what a quicker one has done.
 */
export interface Outlet {
  look(): Promise<Write>
}

/** What a leaf says; when and for how long is decided here. */
export type LeafWish = Omit<LeafRequest, 'now' | 'days'>

const DAY_MS = 24 * 60 * 60 * 1000
const LABELS = { 'app.kubernetes.io/managed-by': 'virtgate' }

/** A pair in a Secret, with the bundle beside it. */
export function leafOutlet(
  store: CertificateStorage,
  where: { namespace: string; name: string },
  wish: LeafWish,
  { clock, leafMs }: { clock: Pick<Clock, 'now'>; leafMs: number },
): Outlet {
  return {
    async look() {
      const secret = await store.get(SECRETS, where.namespace, where.name)
      const text = secret ? decodeSecret(secret) : {}
      return async (authority) => {
        const ca = bundleOf(authority)
        const now = clock.now()
        const isKept = isGood(text, authority, wish, now)
        if (isKept && text['ca.crt'] === ca) return
        const request = { ...wish, now: new Date(now), days: leafMs / DAY_MS }
        const pair = isKept
          ? { cert: text['tls.crt'] ?? '', key: text['tls.key'] ?? '' }
          : await issue(authority.active, request)
        const next = { ...text, 'tls.crt': pair.cert, 'tls.key': pair.key, 'ca.crt': ca }
        await putSecret(store, where, secret, next)
      }
    },
  }
}

/** Writes a Secret over the one that was read, or makes it. A lost race is 409. */
export async function putSecret(
  store: CertificateStorage,
  { namespace, name }: { namespace: string; name: string },
  present: Secret | undefined,
  text: Record<string, string>,
): Promise<void> {
  const data = encodeSecret(text)
  if (present) {
    await store.update(SECRETS, { ...present, data })
    return
  }
  const draft: Draft<Secret> = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { namespace, name, labels: LABELS },
    type: 'kubernetes.io/tls',
    data,
  }
  await store.create(SECRETS, draft)
}

function isGood(text: Record<string, string>, { active }: Authority, wish: LeafWish, now: number): boolean {
  const { 'tls.crt': cert, 'tls.key': key } = text
  if (cert === undefined || key === undefined || !isPair({ cert, key })) return false
  const isYoung = validityOf(cert).notBefore <= now && now < renewalTime(cert)
  return isYoung && isSignedBy(cert, active.cert) && covers(cert, wish)
}

/** A ConfigMap whose `ca.crt` is the bundle. */
export function configMapOutlet(
  store: CertificateStorage,
  { namespace, name }: { namespace: string; name: string },
): Outlet {
  return {
    async look() {
      const present = await store.get(CONFIGMAPS, namespace, name)
      return async (authority) => {
        const data = { ...present?.data, 'ca.crt': bundleOf(authority) }
        if (present?.data?.['ca.crt'] === data['ca.crt']) return
        if (present) await store.update(CONFIGMAPS, { ...present, data })
        else {
          const metadata = { namespace, name, labels: LABELS }
          await store.create(CONFIGMAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata, data })
        }
      }
    },
  }
}

/** The `caBundle` of an APIService; nothing where there is none. */
export function apiServiceOutlet(store: CertificateStorage, name: string): Outlet {
  return registrationOutlet(store, API_SERVICES, name, ({ spec }: ApiService) => [
    { path: '/spec/caBundle', present: spec?.caBundle },
  ])
}

/** The `caBundle` of every webhook of a configuration that calls a Service; nothing where there is none. */
export function webhookOutlet(
  store: CertificateStorage,
  kind: Kind<WebhookConfiguration>,
  name: string,
): Outlet {
  return registrationOutlet(store, kind, name, ({ webhooks = [] }) =>
    webhooks.flatMap(({ clientConfig }, index) => {
      const place = { path: `/webhooks/${index}/clientConfig/caBundle`, present: clientConfig.caBundle }
      return clientConfig.url === undefined ? [place] : []
    }),
  )
}

interface Place {
  path: string
  present: string | undefined
}

function registrationOutlet<T extends ApiService | WebhookConfiguration>(
  store: CertificateStorage,
  kind: Kind<T>,
  name: string,
  placesOf: (object: T) => Place[],
): Outlet {
  return {
    async look() {
      // Not every API that holds our objects knows registrations: none of it can then be wrong.
      const present = await unlessNotFound(store.get(kind, '', name))
      return async (authority) => {
        if (!present) return
        const value = Buffer.from(bundleOf(authority), 'utf8').toString('base64')
        const wrong = placesOf(present).filter((place) => place.present !== value)
        if (wrong.length === 0) return
        const operations: JsonPatchOperation[] = [
          // A patch that meets another version is a conflict, and looked at again.
          { op: 'replace', path: '/metadata/resourceVersion', value: present.metadata.resourceVersion },
          ...wrong.map(({ path }) => ({ op: 'add' as const, path, value })),
        ]
        await store.patch(kind, '', name, { type: 'json', operations })
      }
    },
  }
}
