/** Spellings of addresses. Contract: PRIM-005, 006, 007. */

/** Whether `text` is a MAC address of six octets, or empty. */
export function isMacAddress(text: string): boolean {
  if (text === '') return true
  const pairs = /^[\da-f]{2}([:-])[\da-f]{2}(?:\1[\da-f]{2}){4}$/i
  return pairs.test(text) || /^[\da-f]{4}(?:\.[\da-f]{4}){2}$/i.test(text)
}

/** Whether `text` is a PCI address such as `0000:81:01.0`. */
export function isPciAddress(text: string): boolean {
  return /^[\da-fA-F]{4}:[\da-fA-F]{2}:[\da-fA-F]{2}\.[0-7]$/.test(text)
}

/** Whether `text` is a name for a port: an IANA service name. */
export function isPortName(text: string): boolean {
  if (text.length > 15 || !/^[-a-z0-9]+$/.test(text) || !/[a-z]/.test(text)) return false
  return !text.includes('--') && !text.startsWith('-') && !text.endsWith('-')
}
