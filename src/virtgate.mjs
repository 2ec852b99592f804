#!/usr/bin/env node
// The virtgate command, whatever Node it was started with.
import { join } from 'node:path'
import { findNode, handOver, isNewEnough, root } from './node.mjs'

const main = join(root, 'src', 'main.ts')
if (isNewEnough()) {
  await import(main)
} else {
  handOver(findNode(), [main, ...process.argv.slice(2)])
}
