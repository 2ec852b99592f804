import {
  authoritySource,
  pairSource,
  watchFiles,
  type FileSource,
  type LoadedFiles,
  type WatchedFiles,
} from '../../certs/watch-files.ts'
import { isPair } from '../../certs/inspect.ts'
import type { Secret } from '../kinds/core.ts'
import { selectOne } from '../kinds/meta.ts'
import { SECRETS } from '../kinds/table.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { openInformer } from '../store/informer.ts'
import type { ObjectReader, ObjectWatcher } from '../store/store.ts'
import { decodeSecret } from './certificates/secret-data.ts'

/** What somebody else writes and replaces, as it is now. */
export interface Watched<T> {
  current(): T
  /** Calls back with each later content; where that throws, the one before stays in use. */
  onChange(listener: (content: T) => void): void
}

/** A pair and the authorities its owner believes, all PEM. */
export type WatchedTls = Watched<LoadedFiles>

/** Where a pair comes from: files, or a Secret with `tls.crt`, `tls.key` and `ca.crt` in our namespace. */
export type TlsSource = WatchedFiles | { secret: string }

/** What it takes to follow a Secret. */
export interface SecretAccess {
  store: ObjectReader & ObjectWatcher
  namespace: string
  clock: Clock
  log: Log
  /** Ends waiting for a Secret that is not there yet. */
  signal: AbortSignal
}

/** What is watched until it is closed. */
export type Open<T> = Watched<T> & AsyncDisposable

/** Reads a pair and goes on watching its files. Throws `TornPair`, or what the file system throws. */
export function openWatchedTls(files: WatchedFiles, log: Log): Promise<Open<LoadedFiles>> {
  return openFiles(pairSource(files), log)
}

/** Reads a file of authorities and goes on watching it. */
export function openWatchedAuthority(file: string, log: Log): Promise<Open<string>> {
  return openFiles(authoritySource(file), log)
}

/** A pair that is opened in two steps. */
export interface PreparedTls extends AsyncDisposable {
  /** Waits for a Secret that is not there yet. */
  open(access: Omit<SecretAccess, 'log'>): Promise<WatchedTls>
}

/** Files are read now, so that what is wrong with them is found before anybody is asked for anything; a Secret later. */
export async function prepareTls(source: TlsSource, log: Log): Promise<PreparedTls> {
  const stack = new AsyncDisposableStack()
  const close = () => stack.disposeAsync()
  if ('secret' in source) {
    const { secret } = source
    const open: PreparedTls['open'] = async (access) =>
      stack.use(await openSecretTls(secret, { ...access, log }))
    return { open, [Symbol.asyncDispose]: close }
  }
  const files = stack.use(await openWatchedTls(source, log))
  return { open: async () => files, [Symbol.asyncDispose]: close }
}

async function openFiles<T>(source: FileSource<T>, log: Log): Promise<Open<T>> {
  const [file] = source.files
  const holder = new Holder(await source.load(), { file }, log)
  const stop = new AbortController()
  async function follow(): Promise<void> {
    const events = watchFiles(source, holder.current(), stop.signal, (error) => holder.report(error))
    for await (const loaded of events) holder.take(loaded)
  }
  const following = follow()
  return opened(holder, async () => {
    stop.abort()
    await following
  })
}

async function openSecretTls(name: string, access: SecretAccess): Promise<Open<LoadedFiles>> {
  const { store, namespace, clock, log, signal } = access
  const informer = openInformer(store, SECRETS, selectOne({ namespace, name }), { clock, log })
  const first = Promise.withResolvers<Holder<LoadedFiles>>()
  let holder: Holder<LoadedFiles> | undefined
  informer.onChange((_before, secret) => {
    const loaded = secret && loadSecret(secret)
    if (!loaded) {
      const problem = new Error(
        `the Secret ${namespace}/${name} holds no pair in tls.crt, tls.key and ca.crt`,
      )
      log.error({ err: problem }, 'a certificate cannot be taken up')
    } else if (holder) holder.take(loaded)
    else first.resolve((holder = new Holder(loaded, { secret: name }, log)))
  })
  const close = async () => informer[Symbol.asyncDispose]()
  const giveUp = () => first.reject(signal.reason instanceof Error ? signal.reason : new Error('given up'))
  signal.addEventListener('abort', giveUp, { once: true })
  try {
    signal.throwIfAborted()
    void informer.synced.then(() => {
      if (!informer.get(namespace, name)) {
        log.warn({ secret: `${namespace}/${name}` }, 'waiting for a certificate, which the controller makes')
      }
    })
    return opened(await first.promise, close)
  } catch (error) {
    await close()
    throw error
  } finally {
    signal.removeEventListener('abort', giveUp)
  }
}

function loadSecret(secret: Secret): LoadedFiles | undefined {
  const { 'tls.crt': cert, 'tls.key': key, 'ca.crt': ca } = decodeSecret(secret)
  if (cert === undefined || key === undefined || ca === undefined || !isPair({ cert, key })) return undefined
  return { cert, key, ca }
}

function opened<T>(holder: Holder<T>, close: () => Promise<void>): Open<T> {
  return {
    current: () => holder.current(),
    onChange: (listener) => holder.onChange(listener),
    [Symbol.asyncDispose]: close,
  }
}

/** The content of the moment, and those who are told of the next. */
export class Holder<T> implements Watched<T> {
  #present: T
  readonly #listeners = new Set<(content: T) => void>()
  readonly #where: object
  readonly #log: Log

  constructor(present: T, where: object, log: Log) {
    this.#present = present
    this.#where = where
    this.#log = log
  }

  current(): T {
    return this.#present
  }

  onChange(listener: (content: T) => void): void {
    this.#listeners.add(listener)
  }

  take(next: T): void {
    try {
      for (const listener of this.#listeners) listener(next)
      this.#present = next
      this.#log.info({ ...this.#where }, 'a certificate was taken up')
    } catch (error) {
      this.report(error)
    }
  }

  report(error: unknown): void {
    this.#log.error({ ...this.#where, err: error }, 'a certificate cannot be taken up')
  }
}
