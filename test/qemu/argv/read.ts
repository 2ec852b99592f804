/** The values of an option, in order. */
export function valuesOf(argv: readonly string[], option: string): string[] {
  return argv.flatMap((arg, index) => (arg === option ? [argv[index + 1] ?? ''] : []))
}

/** The JSON values of `-device`, `-blockdev`, `-netdev` or `-object`. */
export function objectsOf(argv: readonly string[], option: string): Record<string, unknown>[] {
  return valuesOf(argv, option).map((text) => JSON.parse(text) as Record<string, unknown>)
}

/** The device with that id; an empty object where there is none. */
export function deviceOf(argv: readonly string[], id: string): Record<string, unknown> {
  return objectsOf(argv, '-device').find((device) => device.id === id) ?? {}
}

/** Parts of a `key=value` argument as QEMU splits it: a doubled comma is a comma. */
export function partsOf(argument: string | undefined): Record<string, string> {
  const parts = (argument ?? '').match(/(?:[^,]|,,)+/g) ?? []
  return Object.fromEntries(
    parts.map((part) => {
      const [key = '', ...value] = part.split('=')
      return [key, value.join('=').replaceAll(',,', ',')]
    }),
  )
}

/** Parts of the first argument of an option. */
export function firstParts(argv: readonly string[], option: string): Record<string, string> {
  return partsOf(valuesOf(argv, option)[0])
}
