/**
 * Label and field selectors in their text form.
 * Source: "Labels and Selectors" and "Field Selectors" in the Kubernetes documentation.
 */
import { checkLabelValue, checkQualifiedName } from './names.ts'

/** One demand on a label. `values` is empty for `exists` and `!exists`. */
export interface LabelRequirement {
  key: string
  operator: 'in' | 'notin' | 'exists' | '!exists'
  values: string[]
}

/** One demand on a field. */
export interface FieldRequirement {
  field: string
  operator: '=' | '!='
  value: string
}

/** A selector cannot be read; the message says what is wrong with it. */
export class SelectorError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'SelectorError'
  }
}

const TOKEN = /\s*(?:(!=|==|=|!|\(|\)|,)|([^\s!=(),<>]+))\s*/y

function tokenize(text: string): string[] {
  const tokens: string[] = []
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < text.length) {
    const from = TOKEN.lastIndex
    const match = TOKEN.exec(text)
    if (!match)
      throw new SelectorError(`unable to parse the label selector at ${JSON.stringify(text.slice(from))}`)
    tokens.push(match[1] ?? match[2] ?? '')
  }
  return tokens
}

const isWord = (token: string | undefined) => token !== undefined && !/^(!=|==|=|!|\(|\)|,)$/.test(token)

/**
 * The demands of a label selector such as `app=web,tier in (a,b),!old`. An empty text demands nothing.
 *
 * Throws `SelectorError`.
 */
export function parseLabelSelector(text: string): LabelRequirement[] {
  const tokens = tokenize(text.trim())
  const requirements: LabelRequirement[] = []
  while (tokens.length > 0) {
    requirements.push(readRequirement(tokens, text))
    if (tokens.length === 0) break
    if (tokens.shift() !== ',' || tokens.length === 0) throw unexpected(text)
  }
  return requirements
}

function unexpected(text: string): SelectorError {
  return new SelectorError(
    `unable to parse the label selector ${JSON.stringify(text)}: write key=value, key!=value, key in (a,b), key notin (a,b), key or !key, with commas between`,
  )
}

function readRequirement(tokens: string[], text: string): LabelRequirement {
  const absent = tokens[0] === '!' && tokens.shift() === '!'
  const key = readKey(tokens, text)
  if (absent) return { key, operator: '!exists', values: [] }
  const operator = tokens[0]
  if (operator === undefined || operator === ',') return { key, operator: 'exists', values: [] }
  tokens.shift()
  switch (operator) {
    case '=':
    case '==':
      return { key, operator: 'in', values: [readValue(tokens)] }
    case '!=':
      return { key, operator: 'notin', values: [readValue(tokens)] }
    case 'in':
    case 'notin':
      return { key, operator, values: readValues(tokens, text) }
    default:
      throw unexpected(text)
  }
}

function readKey(tokens: string[], text: string): string {
  const key = tokens.shift()
  if (key === undefined || !isWord(key)) throw unexpected(text)
  const [problem] = checkQualifiedName(key)
  if (problem) throw new SelectorError(`the label key ${JSON.stringify(key)} is invalid: ${problem}`)
  return key
}

function readValue(tokens: string[]): string {
  const value = isWord(tokens[0]) ? (tokens.shift() ?? '') : ''
  const [problem] = checkLabelValue(value)
  if (problem) throw new SelectorError(`the label value ${JSON.stringify(value)} is invalid: ${problem}`)
  return value
}

function readValues(tokens: string[], text: string): string[] {
  if (tokens.shift() !== '(') throw unexpected(text)
  const values = [readValue(tokens)]
  while (tokens[0] === ',') {
    tokens.shift()
    values.push(readValue(tokens))
  }
  if (tokens.shift() !== ')') throw unexpected(text)
  return values
}

/** Whether labels meet all demands. `notin` and `!=` are met where the label is missing. */
export function matchesLabels(
  requirements: readonly LabelRequirement[],
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  return requirements.every(({ key, operator, values }) => {
    const value = labels && Object.hasOwn(labels, key) ? labels[key] : undefined
    switch (operator) {
      case 'exists':
        return value !== undefined
      case '!exists':
        return value === undefined
      case 'in':
        return value !== undefined && values.includes(value)
      default:
        return value === undefined || !values.includes(value)
    }
  })
}

/**
 * The demands of a field selector such as `status.phase!=Running,metadata.name=a`. In a value, `\\`, `\,` and
 * `\=` stand for the character itself. An empty text demands nothing.
 *
 * Throws `SelectorError`.
 */
export function parseFieldSelector(text: string): FieldRequirement[] {
  return splitAtCommas(text).map((part) => {
    const match = /^([^!=]+?)(!=|==|=)(.*)$/s.exec(part)
    if (!match) {
      throw new SelectorError(
        `invalid field selector ${JSON.stringify(part)}: write field=value or field!=value`,
      )
    }
    const [, field = '', operator, value = ''] = match
    return {
      field: field.trim(),
      operator: operator === '!=' ? '!=' : '=',
      value: unescapeValue(value, part),
    }
  })
}

function splitAtCommas(text: string): string[] {
  return (text.match(/(?:\\.|[^\\,])+|\\$/gs) ?? []).filter((part) => part !== '')
}

function unescapeValue(value: string, part: string): string {
  if (/(?<!\\)(?:\\\\)*=/.test(value)) {
    throw new SelectorError(`invalid field selector ${JSON.stringify(part)}: write \\= for = in a value`)
  }
  return value.replace(/\\(.?)/gs, (_all, next: string) => {
    if (next === '\\' || next === ',' || next === '=') return next
    throw new SelectorError(
      `invalid field selector ${JSON.stringify(part)}: \\ may stand before \\, "," and = only`,
    )
  })
}

/** A label selector as objects hold it. Source: `metav1.LabelSelector`. */
export interface LabelSelector {
  matchLabels?: Record<string, string>
  matchExpressions?: { key: string; operator: string; values?: string[] }[]
}

const OPERATORS: Record<string, LabelRequirement['operator']> = {
  In: 'in',
  NotIn: 'notin',
  Exists: 'exists',
  DoesNotExist: '!exists',
}

/**
 * The demands of a label selector in its object form; an empty one demands nothing.
 *
 * Throws `SelectorError`. Source: `metav1.LabelSelector`; contract: PRIM-011.
 */
export function requirementsOf({
  matchLabels = {},
  matchExpressions = [],
}: LabelSelector): LabelRequirement[] {
  const labels = Object.entries(matchLabels).map(([key, value]) => ({ key, operator: 'In', values: [value] }))
  return [...labels, ...matchExpressions].map(readExpression)
}

function readExpression({
  key,
  operator: word,
  values = [],
}: NonNullable<LabelSelector['matchExpressions']>[number]): LabelRequirement {
  const operator = Object.hasOwn(OPERATORS, word) ? OPERATORS[word] : undefined
  if (!operator)
    throw new SelectorError(
      `the operator ${JSON.stringify(word)} is none of ${Object.keys(OPERATORS).join(', ')}`,
    )
  if (needsValues(operator) !== values.length > 0) {
    throw new SelectorError(`the operator ${word} goes ${needsValues(operator) ? 'with' : 'without'} values`)
  }
  const [problem] = [...checkQualifiedName(key), ...values.flatMap((value) => checkLabelValue(value))]
  if (problem)
    throw new SelectorError(`the selector for the label ${JSON.stringify(key)} is invalid: ${problem}`)
  return { key, operator, values }
}

function needsValues(operator: LabelRequirement['operator']): boolean {
  return operator === 'in' || operator === 'notin'
}
