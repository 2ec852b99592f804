import { readFileSync } from 'node:fs'

/** One member of a type of the catalogue. */
export interface Member {
  name: string
  /** As it stands there, such as `str`, `[Volume]` or `{qty}`. */
  type: string
  enum?: string[]
  isRequired: boolean
}

/** Types by their names in the catalogue, such as `it.CPUInstancetype`. */
export type Catalogue = Map<string, Member[]>

const MEMBER = /^(?<name>\w+)(?<flags>[!*]*):(?<type>[^(]+?)(?:\((?<words>[^)]*)\))?$/

/** Reads `kubevirt-types.txt`. Throws where a line cannot be read. */
export function readCatalogue(): Catalogue {
  const text = readFileSync(new URL('kubevirt-types.txt', import.meta.url), 'utf8')
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(lines.map(readLine))
}

function readLine(line: string): [string, Member[]] {
  const [name = '', ...rest] = line.split(' ')
  const members = rest.join(' ').split(', ')
  return [name, members.filter((text) => text !== '').map((text) => readMember(name, text))]
}

function readMember(owner: string, text: string): Member {
  const { name, flags, type, words } = MEMBER.exec(text)?.groups ?? {}
  if (name === undefined || type === undefined) throw new Error(`${owner}: cannot read the member ${text}`)
  return {
    name,
    type: type.replace(/\?$/, ''),
    ...(words && { enum: words.split('/') }),
    isRequired: flags?.includes('!') ?? false,
  }
}
