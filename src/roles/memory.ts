import { setFlagsFromString } from 'node:v8'

/**
 * Keeps V8's young generation as small as it is now. Left alone it grows to 48 MiB while a process starts and stays
 * there, because a process that idles collects no garbage; `bench/README.md` has the numbers, also of what it costs.
 * To be called before the parts of a role are loaded.
 */
export function keepYoungGenerationSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1')
}
