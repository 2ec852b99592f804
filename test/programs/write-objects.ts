/**
 * Writes objects to a database for as long as it lives, and says the name of each once that is acknowledged.
 * Usage: node write-objects.ts FILE
 */
import { writeSync } from 'node:fs'
import { openObjectDatabase } from '../../src/store/sqlite/open.ts'

const [file = ''] = process.argv.slice(2)
const database = openObjectDatabase({ file })

for (let number = 0; ; number++) {
  const name = `object-${number}`
  const metadata = { name, namespace: 'a', uid: `uid-${number}`, creationTimestamp: '', resourceVersion: '' }
  await database.write((transaction) =>
    transaction.put('things', { apiVersion: 'v1', kind: 'Thing', metadata }),
  )
  // Past the buffers of this process, which die with it.
  writeSync(1, `${name}\n`)
}
