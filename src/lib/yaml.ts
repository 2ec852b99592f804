import { createRequire } from 'node:module'
import type * as Yaml from 'yaml'

const load = createRequire(import.meta.url)

/** The YAML library, loaded when there is YAML to read: most servers never see any, and it takes 2 MiB. */
export function yaml(): typeof Yaml {
  return load('yaml')
}
