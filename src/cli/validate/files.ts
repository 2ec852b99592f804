import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { parseObjects, type Contents } from './read.ts'

/** Where to read, and how. */
export interface ReadOptions {
  stdin: NodeJS.ReadableStream
  /** Folders with all below them; the files right in them otherwise. */
  recursive: boolean
}

const EXTENSION = /\.(ya?ml|json)$/

/** Reads the objects out of files, out of the YAML and JSON files in folders, and out of `stdin` for `-`. */
export async function readObjects(paths: readonly string[], options: ReadOptions): Promise<Contents> {
  const contents: Contents = { objects: [], unreadable: [] }
  for (const path of paths) {
    try {
      for (const { file, content } of await readPath(path, options)) {
        const { objects, unreadable } = parseObjects(file, content)
        contents.objects.push(...objects)
        contents.unreadable.push(...unreadable)
      }
    } catch (error) {
      if (!isSystemError(error)) throw error
      contents.unreadable.push({ file: path, message: error.message })
    }
  }
  return contents
}

async function readPath(
  path: string,
  { stdin, recursive }: ReadOptions,
): Promise<{ file: string; content: string }[]> {
  if (path === '-') return [{ file: '<stdin>', content: await text(stdin) }]
  const files = (await stat(path)).isDirectory() ? await filesIn(path, recursive) : [path]
  return Promise.all(files.map(async (file) => ({ file, content: await readFile(file, 'utf8') })))
}

async function filesIn(folder: string, recursive: boolean): Promise<string[]> {
  const entries = await readdir(folder, { recursive, withFileTypes: true })
  return entries
    .filter((entry) => !entry.isDirectory() && EXTENSION.test(entry.name))
    .map(({ parentPath, name }) => join(parentPath, name))
    .toSorted()
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error
}
