/**
 * The functions of Helm that our chart uses. Source: the "Template Function List" of Helm.
 *
 * What is piped in is the last argument.
 */
import { stringify } from 'yaml'
import { isRecord } from '../../../src/lib/json.ts'
import type { TemplateFunction } from './evaluate.ts'
import { format, isTrue } from './values.ts'

function text(value: unknown): string {
  if (typeof value === 'string') return value
  throw new Error(`${JSON.stringify(value)} is no text`)
}

function indent(spaces: unknown, value: unknown): string {
  const pad = ' '.repeat(Number(spaces))
  return text(value)
    .split('\n')
    .map((line) => `${pad}${line}`)
    .join('\n')
}

/** Source: sigs.k8s.io/yaml, which sorts keys; Helm takes the last line break away. */
function toYaml(value: unknown): string {
  return stringify(value ?? null, { version: '1.1', sortMapEntries: true, lineWidth: 0 }).replace(/\n$/, '')
}

function printf(pattern: unknown, ...args: unknown[]): string {
  const left = [...args]
  return text(pattern).replaceAll(/%[sdvq]/g, (verb) => {
    const value = format(left.shift())
    return verb === '%q' ? JSON.stringify(value) : value
  })
}

function required(message: unknown, value: unknown): unknown {
  if (value === undefined || value === null || value === '') throw new Error(text(message))
  return value
}

/** By name. */
export const FUNCTIONS: Record<string, TemplateFunction> = {
  not: (value) => !isTrue(value),
  eq: (left, ...others) => others.some((other) => left === other),
  ne: (left, right) => left !== right,
  gt: (left, right) => Number(left) > Number(right),
  lt: (left, right) => Number(left) < Number(right),
  default: (fallback, value) => (isTrue(value) ? value : fallback),
  required,
  fail: (message) => {
    throw new Error(text(message))
  },
  quote: (value) => JSON.stringify(value === undefined || value === null ? '' : format(value)),
  int: Number,
  add: (...numbers) => numbers.reduce<number>((sum, number) => sum + Number(number), 0),
  printf,
  indent,
  nindent: (spaces, value) => `\n${indent(spaces, value)}`,
  toYaml,
  b64enc: (value) => Buffer.from(text(value), 'utf8').toString('base64'),
  trunc: (length, value) => text(value).slice(0, Number(length)),
  trimSuffix: (suffix, value) =>
    text(value).endsWith(text(suffix)) ? text(value).slice(0, -text(suffix).length) : value,
  replace: (from, to, value) => text(value).replaceAll(text(from), text(to)),
  dict: (...entries) => {
    const keys = entries.filter((_entry, index) => index % 2 === 0)
    return Object.fromEntries(keys.map((key, index) => [text(key), entries[index * 2 + 1]]))
  },
  list: (...elements) => elements,
  merge: (target, ...sources) => Object.assign({}, ...sources.toReversed().filter(isRecord), target),
  has: (element, list) => Array.isArray(list) && list.includes(element),
}
