#!/usr/bin/env node
// The virtgate command, whatever Node it was started with.
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findNode, handOver, isNewEnough, root, startLean, startOver, useCompileCache } from './node.mjs'

/** Commands that stay. */
const ROLES = ['up', 'apiserver', 'controller', 'worker']

if (isNewEnough()) {
  const stays = ROLES.includes(process.argv[2])
  if (stays) startOver()
  useCompileCache()
  if (stays) startLean()
  await import(join(root, 'src', 'main.ts'))
} else {
  handOver(findNode(), [fileURLToPath(import.meta.url), ...process.argv.slice(2)])
}
