// Compiles the program ahead, while an image is built: its processes then find everything in the cache.
import { useCompileCache } from '../src/node.mjs'

useCompileCache()
for (const role of ['apiserver', 'controller', 'worker']) await import(`../src/roles/${role}.ts`)
process.argv.push('--version')
await import('../src/main.ts')
