import { readFile, rename, writeFile } from 'node:fs/promises'
import { isRecord } from '../lib/json.ts'

/** The value that was kept in the file under that key; `undefined` where another one, or none, is there. */
export async function readCache<T>(file: string, key: string): Promise<T | undefined> {
  try {
    const kept: unknown = JSON.parse(await readFile(file, 'utf8'))
    // The caller puts the version of its shape into the key, and nobody else writes the file.
    return isRecord(kept) && kept.key === key ? (kept.value as T) : undefined
  } catch (error) {
    // A cache that is not there, or was cut short, is made anew.
    if (error instanceof SyntaxError) return undefined
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** Keeps one value under one key, in place of the one before. */
export async function writeCache(file: string, key: string, value: unknown): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`
  await writeFile(temporary, JSON.stringify({ key, value }))
  await rename(temporary, file)
}
