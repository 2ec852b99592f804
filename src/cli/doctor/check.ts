import type { PolicyRule } from '../../kinds/core.ts'
import { unlessNotFound } from '../../lib/errors.ts'
import type { KubeClient } from '../../kube/client.ts'
import type { Shown } from './shown-certificate.ts'

/** How bad it is. `skipped`: it could not be looked at, or means nothing here. */
export type Verdict = 'ok' | 'skipped' | 'warning' | 'error'

/** Something that a check has found out. */
export interface Finding {
  verdict: Verdict
  /** What it is about and how that is. */
  message: string
  /** What to do about it. */
  advice?: string
}

/** One of our service accounts, and the rights that it needs. */
export interface Account {
  name: string
  /** In the whole cluster. */
  rules: readonly PolicyRule[]
  /** In the namespace of the installation. */
  ownRules: readonly PolicyRule[]
}

/** What checks are given. */
export interface Doctor {
  client: Pick<KubeClient, 'call'>
  /** Where the installation is. */
  namespace: string
  /** Whether the server is `virtgate up`, which has neither registrations nor processes of its own. */
  isEmbedded: boolean
  accounts(): Promise<readonly Account[]>
  /** What is shown at an address, and whether it is believed. */
  shownCertificate(
    at: { host: string; port: number },
    name: string,
    ca: string,
    signal: AbortSignal,
  ): Promise<Shown>
  now(): number
  signal: AbortSignal
}

/** One thing that is looked at. May throw: what the API refuses is told as a finding. */
export interface Check {
  /** In lower case, such as `api-services`. */
  name: string
  /** Whether it means anything with `virtgate up`. */
  isForEmbedded: boolean
  run(doctor: Doctor): Promise<Finding[]>
}

/** All is well. */
export function fine(message: string): Finding {
  return { verdict: 'ok', message }
}

/** It works, and will not for long or not for all. */
export function warning(message: string, advice: string): Finding {
  return { verdict: 'warning', message, advice }
}

/** It does not work. */
export function wrong(message: string, advice: string): Finding {
  return { verdict: 'error', message, advice }
}

/** It could not be looked at. */
export function skipped(message: string, advice?: string): Finding {
  return { verdict: 'skipped', message, ...(advice !== undefined && { advice }) }
}

/** An object of the API at a path; `undefined` where there is none. */
export async function find<T>({ client, signal }: Doctor, path: string): Promise<T | undefined> {
  return unlessNotFound(client.call<T>({ method: 'GET', path, signal }))
}

/** The objects of the API at a path; none where it does not know the kind. */
export async function list<T>(doctor: Doctor, path: string): Promise<T[]> {
  const found = await find<{ items: T[] }>(doctor, path)
  return found?.items ?? []
}
