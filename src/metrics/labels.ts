/** What guests and users say, as labels. Source: "Data model" in the Prometheus documentation. */

const LIMIT_BYTES = 1024

/** Whether there is something, and nothing that `labelValue` would change. */
export function isClean(text: string): boolean {
  // No character has more than three bytes for each of its units.
  return text !== '' && text.length * 3 <= LIMIT_BYTES && text.isWellFormed()
}

/** At most 1 KiB of well-formed text; escaping is left to whoever writes it. */
export function labelValue(text: string): string {
  const whole = text.toWellFormed()
  if (Buffer.byteLength(whole) <= LIMIT_BYTES) return whole
  // A character that is cut in two becomes one that stands for nothing known.
  return Buffer.from(whole)
    .subarray(0, LIMIT_BYTES)
    .toString('utf8')
    .replace(/\uFFFD$/, '')
}

/** A key of a Kubernetes label as part of the name of a label here: letters, digits and underscores. */
export function labelName(prefix: string, key: string): string {
  return prefix + key.replaceAll(/[^A-Za-z0-9_]/g, '_')
}
