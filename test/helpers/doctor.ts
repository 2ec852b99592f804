import type { Check, Doctor, Finding } from '../../src/cli/doctor/check.ts'
import { CHECKS } from '../../src/cli/doctor/index.ts'
import { runChecks } from '../../src/cli/doctor/run.ts'
import type { KubeRequest } from '../../src/kube/client.ts'
import { noSuchPath, StatusError } from '../../src/lib/errors.ts'

/** What the API answers: an object, or what it refuses with; for `METHOD PATH` up to the query. */
export type Answers = Record<string, unknown>

/** When the tests take place. */
export const NOW = Date.parse('2026-06-01T00:00:00Z')

/** What checks are given: an API that answers so, and 404 to all else. */
export function doctorOf(answers: Answers, more: Partial<Doctor> = {}): Doctor & { asked: KubeRequest[] } {
  const asked: KubeRequest[] = []
  return {
    asked,
    client: {
      async call<T>(request: KubeRequest): Promise<T> {
        asked.push(request)
        const key = `${request.method} ${request.path.split('?', 1)[0]}`
        const answer: unknown = key in answers ? answers[key] : noSuchPath()
        const value: unknown = typeof answer === 'function' ? answer(request) : answer
        if (value instanceof Error) throw value
        // Each test answers what the API would.
        return value as T
      },
    },
    namespace: 'kubevirt',
    isEmbedded: false,
    accounts: async () => [],
    shownCertificate: async () => ({ unreachable: 'no route' }),
    now: () => NOW,
    signal: new AbortController().signal,
    ...more,
  }
}

/** What a check finds, by its name. */
export async function examine(name: string, doctor: Doctor): Promise<Finding[]> {
  const [result] = await runChecks([checkNamed(name)], doctor, 10_000)
  return result?.findings ?? []
}

function checkNamed(name: string): Check {
  const check = CHECKS.find((one) => one.name === name)
  if (!check) throw new Error(`there is no check ${name}`)
  return check
}

/** A refusal for want of rights. */
export function refused(): StatusError {
  return new StatusError(403, 'Forbidden', 'configmaps is forbidden')
}
