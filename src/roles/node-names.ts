import { readFile, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'

/**
 * Names of the nodes of an embedded installation. They are made from the host's name once and kept with the data:
 * guests are found again by them, also when the host is renamed. The first is the same whether workers are processes
 * of their own or not.
 */
export async function readNodeNames(dataDir: string, count: number): Promise<string[]> {
  const file = join(dataDir, 'node-name')
  const base = await readFile(file, 'utf8').catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    const name = toNodeName(hostname())
    await writeFile(file, name)
    return name
  })
  return Array.from({ length: count }, (_, index) => (index === 0 ? base : `${base}-${index + 1}`))
}

/** A host's name as the name of a Kubernetes object. */
function toNodeName(host: string): string {
  const name = host
    .toLowerCase()
    .replaceAll(/[^-a-z0-9]+/g, '-')
    .slice(0, 50)
    .replaceAll(/^-+|-+$/g, '')
  return name || 'node'
}
