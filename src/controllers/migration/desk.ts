import type { IncomingReply } from '../../rpc/actions.ts'
import type { MigrationCredentials } from '../parts.ts'

/** What came of asking the target to make ready: where it waits, why it does not, or what went wrong outside. */
export type Readiness = { reply: IncomingReply } | { refusal: string } | { error: unknown }

/** A target that was asked, in one of its sessions. */
interface Asked {
  session: number
  stop: AbortController
  readiness: Readiness | undefined
  closed: Promise<void>
}

/**
 * What this process keeps of migrations under way, by their UID. All of it may be lost: it is made anew then. Closing
 * it gives up on targets that are making ready; they go on.
 */
export class MigrationDesk implements AsyncDisposable {
  readonly #certificates = new Map<string, Promise<MigrationCredentials>>()
  readonly #asked = new Map<string, Asked>()
  readonly #ending = new Set<Promise<void>>()
  /** When the source was first seen to have handed over, in milliseconds since 1970. */
  readonly #handedOverMs = new Map<string, number>()

  /** One issue for both sides. */
  certificates(uid: string, issue: () => Promise<MigrationCredentials>): Promise<MigrationCredentials> {
    const present = this.#certificates.get(uid)
    if (present) return present
    const issued = issue()
    this.#certificates.set(uid, issued)
    issued.catch(() => this.#certificates.delete(uid))
    return issued
  }

  /**
   * What came of asking the target in that session; asks it where that has not been done. Making ready takes as long
   * as its images do, so nobody waits: `onAnswer` is called when there is news. A failure is told once; then the target
   * is asked again.
   */
  readinessOf(
    uid: string,
    session: number,
    ask: (signal: AbortSignal) => Promise<Readiness>,
    onAnswer: () => void,
  ): Readiness | undefined {
    const present = this.#asked.get(uid)
    if (present?.session === session) {
      const { readiness } = present
      if (readiness && 'error' in readiness) this.#asked.delete(uid)
      return readiness
    }
    present?.stop.abort()
    const stop = new AbortController()
    const asked: Asked = { session, stop, readiness: undefined, closed: Promise.resolve() }
    asked.closed = ask(stop.signal)
      .catch((error: unknown): Readiness => ({ error }))
      .then((readiness) => {
        asked.readiness = readiness
        this.#ending.delete(asked.closed)
        if (!stop.signal.aborted) onAnswer()
      })
    this.#ending.add(asked.closed)
    this.#asked.set(uid, asked)
    return undefined
  }

  handedOverSince(uid: string, nowMs: number): number {
    const since = this.#handedOverMs.get(uid) ?? nowMs
    this.#handedOverMs.set(uid, since)
    return since
  }

  forget(uid: string): void {
    this.#asked.get(uid)?.stop.abort()
    this.#asked.delete(uid)
    this.#certificates.delete(uid)
    this.#handedOverMs.delete(uid)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const uid of this.#asked.keys()) this.forget(uid)
    await Promise.all(this.#ending)
  }
}
