/** Who has asked kube-apiserver for what. */
import { readFile, writeFile } from 'node:fs/promises'

/** One request, as kube-apiserver's audit log has it. */
export interface AuditedRequest {
  user: string
  verb: string
  /** With its query. */
  uri: string
  code: number
  /** Milliseconds since 1970. */
  at: number
}

/** Writes a policy that notes each request once, when it has been answered, or, for a watch, has begun. */
export async function writeAuditPolicy(file: string): Promise<void> {
  const policy = {
    apiVersion: 'audit.k8s.io/v1',
    kind: 'Policy',
    omitStages: ['RequestReceived'],
    rules: [{ level: 'Metadata' }],
  }
  await writeFile(file, JSON.stringify(policy))
}

interface AuditEvent {
  stage: string
  verb: string
  requestURI: string
  user?: { username?: string }
  responseStatus?: { code?: number }
  requestReceivedTimestamp: string
  auditID: string
}

/** All requests so far, each once. */
export async function readAudit(file: string): Promise<AuditedRequest[]> {
  const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line.endsWith('}'))
  const requests = new Map<string, AuditedRequest>()
  for (const line of lines) {
    // The shape is that of `audit.k8s.io/v1` Event.
    const event = JSON.parse(line) as AuditEvent
    requests.set(event.auditID, {
      user: event.user?.username ?? '',
      verb: event.verb,
      uri: event.requestURI,
      code: event.responseStatus?.code ?? 0,
      at: Date.parse(event.requestReceivedTimestamp),
    })
  }
  return [...requests.values()]
}
