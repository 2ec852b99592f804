import { createHash } from 'node:crypto'
import { readFile, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { unlessMissing } from '../files/errno.ts'
import type { Layout } from './layout.ts'
import type { LocalImage } from './options.ts'
import { replaceFile } from './references.ts'

/** Somebody has an image, or is about to: until that is over nothing of it is removed. */
export interface Use {
  /** Who: the directory of a guest. */
  holder: string
  /** Reference in full. */
  name: string
  /** What it has led to; absent before that is known. */
  image?: Pick<LocalImage, 'digest' | 'layers'>
}

/** Writes a use down. Each has a file of its own in the store, where all processes that share it see it. */
export async function noteUse(layout: Layout, use: Use): Promise<void> {
  await replaceFile(layout, usePath(layout, use), JSON.stringify(use))
}

/** All uses that are written down. */
export async function readUses({ uses }: Layout): Promise<Use[]> {
  const found: Use[] = []
  for (const file of await readdir(uses)) {
    const text = await unlessMissing(readFile(join(uses, file), 'utf8'))
    if (text !== undefined) found.push(JSON.parse(text) as Use) // written above
  }
  return found
}

/** Forgets the uses of those who are gone. */
export async function dropUses(
  layout: Layout,
  isGone: (holder: string) => boolean | Promise<boolean>,
): Promise<void> {
  for (const use of await readUses(layout)) {
    if (await isGone(use.holder)) await rm(usePath(layout, use), { force: true })
  }
}

function usePath({ uses }: Layout, { holder, name, image }: Use): string {
  const key = [holder, name, image?.digest ?? ''].join('\n')
  return join(uses, `${createHash('sha256').update(key).digest('hex')}.json`)
}
