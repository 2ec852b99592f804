/** Reads the text format strictly. Source: "Exposition formats" in the Prometheus documentation. */
import type { Metrics } from '../../src/metrics/exposition.ts'

/** All that a process has to say. */
export async function readText(metrics: Pick<Metrics, 'text'>): Promise<string> {
  let text = ''
  for await (const piece of metrics.text()) text += piece
  return text
}

/** One line of it. */
export interface Sample {
  /** With `_bucket`, `_sum` or `_count` where the family is a histogram. */
  name: string
  labels: Record<string, string>
  value: number
}

/** One family with all of its lines. */
export interface ReadFamily {
  type: string
  samples: Sample[]
}

/** Families by name. Throws where a line is not as the format says, or a series or family comes twice. */
export function parseExposition(text: string): Map<string, ReadFamily> {
  if (!text.endsWith('\n')) throw new Error('the last line has no end')
  const families = new Map<string, ReadFamily>()
  const seen = new Set<string>()
  let present: { name: string; family: ReadFamily } | undefined
  for (const line of text.split('\n')) {
    const [, word = '', name = '', rest = ''] = /^# (HELP|TYPE) ([A-Za-z_:][\w:]*) (.*)$/.exec(line) ?? []
    if (word === 'TYPE') {
      if (families.has(name)) throw new Error(`${name} has two types`)
      present = { name, family: { type: rest, samples: [] } }
      families.set(name, present.family)
    }
    if (line === '' || line.startsWith('#')) continue
    const sample = parseSample(line)
    if (!present || !isOf(sample.name, present)) throw new Error(`not below its TYPE: ${line}`)
    const key = sample.name + keyOf(sample.labels)
    if (seen.has(key)) throw new Error(`twice: ${line}`)
    seen.add(key)
    present.family.samples.push(sample)
  }
  return families
}

function isOf(name: string, { name: base, family }: { name: string; family: ReadFamily }): boolean {
  if (family.type !== 'histogram') return name === base
  return ['_bucket', '_sum', '_count'].some((ending) => name === base + ending)
}

const LABEL = /([A-Za-z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/y

function parseSample(line: string): Sample {
  const [, name = '', , labels = '', value = ''] =
    /^([A-Za-z_:][\w:]*)(\{(.*)\})? ([+-]?(?:[\d.]+(?:e[+-]?\d+)?|Inf)|NaN)$/is.exec(line) ?? []
  if (name === '') throw new Error(`no sample: ${line}`)
  return { name, labels: parseLabels(labels), value: Number(value.replace('Inf', 'Infinity')) }
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  LABEL.lastIndex = 0
  while (LABEL.lastIndex < text.length) {
    const [, name = '', value = ''] = LABEL.exec(text) ?? []
    if (name === '' || Object.hasOwn(labels, name)) throw new Error(`no labels: ${text}`)
    labels[name] = value.replaceAll(/\\(["\\n])/g, (_pair, char: string) => (char === 'n' ? '\n' : char))
  }
  return labels
}

function keyOf(labels: Record<string, string>): string {
  const names = Object.keys(labels).toSorted((a, b) => (a < b ? -1 : 1))
  return JSON.stringify(names.map((name) => [name, labels[name]]))
}

/** The value of one series; `undefined` where there is none with just these labels. */
export function valueOf(text: string, name: string, labels: Record<string, string> = {}): number | undefined {
  const wanted = keyOf(labels)
  const samples = [...parseExposition(text).values()].flatMap((family) => family.samples)
  return samples.find((sample) => sample.name === name && keyOf(sample.labels) === wanted)?.value
}
