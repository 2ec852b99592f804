/**
 * Proves that each rule of the admission contract is named where it is done and where it is tested. The ids stand in
 * `vectors/admission/rule-ids.txt`; code and tests name them one by one (`VMI-CPU-001, 002`), or as a range
 * (`VMI-CPU-004 … 012`). Run it with `node test/rule-ids.ts`; it ends with 1 where one is missing.
 */
import { globSync, readFileSync } from 'node:fs'

const LIST = 'test/vectors/admission/rule-ids.txt'
const ID = /\b([A-Z]+(?:-[A-Z]+)*)-(E?\d{2,3})\b((?:\s*(?:,|…|and)\s*(?:[A-Z]+(?:-[A-Z]+)*-)?E?\d{2,3}\b)*)/g
const FURTHER = /\s*(,|…|and)\s*((?:[A-Z]+(?:-[A-Z]+)*-)?)(E?\d{2,3})\b/g

/** The ids that a text names. */
function idsIn(text: string): Set<string> {
  const ids = new Set<string>()
  // A comment may break its lines anywhere.
  const flowing = text.replaceAll(/\n\s*(?:\*|\/\/)\s?/g, ' ')
  for (const [, first = '', start = '', rest = ''] of flowing.matchAll(ID)) {
    let group = first
    let last = start
    ids.add(`${group}-${last}`)
    for (const [, sign, prefix = '', number = ''] of rest.matchAll(FURTHER)) {
      if (prefix !== '') group = prefix.slice(0, -1)
      const from = sign === '…' ? Number(last) : Number(number)
      for (let each = from; each < Number(number); each++) {
        ids.add(`${group}-${String(each).padStart(number.length, '0')}`)
      }
      ids.add(`${group}-${number}`)
      last = number
    }
  }
  return ids
}

function named(pattern: string): Set<string> {
  const files = globSync(pattern, { exclude: ['test/rule-ids.ts'] })
  return idsIn(files.map((file) => readFileSync(file, 'utf8')).join('\n;\n'))
}

const ids = readFileSync(LIST, 'utf8').trim().split('\n')
const places = [
  ['in no code', named('src/**/*.ts')],
  ['in no test', named('test/**/*.test.ts')],
] as const
const missing = places.flatMap(([where, known]) =>
  ids.filter((id) => !known.has(id)).map((id) => `${id} is named ${where}\n`),
)
process.stdout.write(missing.join(''))
if (missing.length > 0) process.exitCode = 1
else
  process.stdout.write(`all ${ids.length} rules of the admission contract are named in code and in a test\n`)
