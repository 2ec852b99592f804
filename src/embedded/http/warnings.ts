import type { FastifyReply } from 'fastify'

/** Bytes of all warnings of one answer; the rest is cut off. Source: `maxWarningLength` of k8s.io/apiserver. */
const TOTAL_LIMIT = 4096
const EACH_LIMIT = 256

/** A warning as a header's value. Source: RFC 7234, section 5.5. */
export function formatWarning(text: string): string {
  const plain = text.replaceAll(/[^\x20-\x7e]/g, '?').replaceAll(/["\\]/g, '\\$&')
  return `299 - "${plain}"`
}

/** Tells the client what is not as it should be, though the request is done. */
export function sendWarnings(reply: FastifyReply, warnings: readonly string[]): void {
  const values: string[] = []
  let total = 0
  for (const warning of new Set(warnings)) {
    const text =
      warnings.length > 1 && warning.length > EACH_LIMIT ? `${warning.slice(0, EACH_LIMIT)}...` : warning
    total += text.length
    if (total > TOTAL_LIMIT) break
    values.push(formatWarning(text))
  }
  if (values.length > 0) reply.header('warning', values)
}
