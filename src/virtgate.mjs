#!/usr/bin/env node
// The virtgate command, whatever Node it was started with.
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findNode, handOver, isNewEnough, root, slim } from './node.mjs'

if (isNewEnough()) {
  slim()
  await import(join(root, 'src', 'main.ts'))
} else {
  handOver(findNode(), [fileURLToPath(import.meta.url), ...process.argv.slice(2)])
}
