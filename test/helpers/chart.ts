/** Renders a Helm chart whose templates keep to a small part of Go's template language. */
import { globSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { parse, parseAllDocuments } from 'yaml'
import type { Manifest } from '../../apiservice/manifest.ts'
import { isRecord, type JsonRecord } from '../../src/lib/json.ts'
import { evaluate } from './go-template/evaluate.ts'
import { FUNCTIONS } from './go-template/functions.ts'
import { parseTemplate, type Parsed } from './go-template/parse.ts'

/** How a chart is installed. */
export interface Release {
  name?: string
  namespace?: string
  /** On top of the chart's own values. */
  values?: JsonRecord
}

/** An object and the template it is from. */
export interface Rendered<T extends Manifest = Manifest> {
  template: string
  object: T
}

/** A chart that was read. */
export interface Chart {
  values: JsonRecord
  render(release?: Release): Rendered[]
  /** What is said once it is installed. */
  notes(release?: Release): string
}

/** Reads the chart in `directory`. Throws what is wrong with a template. */
export function readChart(directory: string): Chart {
  const read = (name: string) => readFileSync(join(directory, name), 'utf8')
  const about = parse(read('Chart.yaml')) as JsonRecord
  const values = parse(read('values.yaml')) as JsonRecord
  const parsed = new Map(
    globSync(join(directory, 'templates/**/*.{yaml,tpl,txt}'))
      .toSorted()
      .map((path) => {
        const name = relative(directory, path)
        return [name, parseTemplate(readFileSync(path, 'utf8'), name)]
      }),
  )
  const text = (name: string, template: Parsed, release: Release) =>
    evaluate(template.main, contextOf(about, values, release, name), environmentOf(name, parsed))
  return {
    values,
    render: (release = {}) =>
      [...parsed]
        .filter(([name]) => name.endsWith('.yaml'))
        .flatMap(([name, template]) =>
          parseObjects(text(name, template, release), name).map((object) => ({ template: name, object })),
        ),
    notes(release = {}) {
      const template = parsed.get('templates/NOTES.txt')
      return template ? text('templates/NOTES.txt', template, release) : ''
    },
  }
}

function contextOf(about: JsonRecord, defaults: JsonRecord, release: Release, template: string): JsonRecord {
  const { name = 'virtgate', namespace = 'kubevirt', values = {} } = release
  return {
    Chart: {
      Name: about['name'],
      Version: about['version'],
      AppVersion: about['appVersion'],
    },
    Release: { Name: name, Namespace: namespace, Service: 'Helm' },
    Template: { Name: template },
    Values: mergeValues(defaults, values),
  }
}

/** Source: "Values files" of Helm: maps are merged, all else is replaced, `null` takes a key away. */
export function mergeValues(under: JsonRecord, over: JsonRecord): JsonRecord {
  const merged = { ...under }
  for (const [key, value] of Object.entries(over)) {
    const present = merged[key]
    if (value === null) delete merged[key]
    else merged[key] = isRecord(value) && isRecord(present) ? mergeValues(present, value) : value
  }
  return merged
}

function environmentOf(name: string, parsed: Map<string, Parsed>) {
  const defined = new Map([...parsed.values()].flatMap((template) => [...template.defined]))
  const environment = {
    name,
    functions: {
      ...FUNCTIONS,
      include(wanted: unknown, dot: unknown): string {
        const nodes = defined.get(String(wanted))
        if (!nodes) throw new Error(`there is no template ${String(wanted)}`)
        return evaluate(nodes, dot, environment)
      },
    },
  }
  return environment
}

/** Empty documents are left out, as Helm does. */
function parseObjects(text: string, template: string): Manifest[] {
  const documents = parseAllDocuments(text, { version: '1.1', uniqueKeys: true })
  return documents.flatMap((document) => {
    const [error] = document.errors
    if (error) throw new Error(`${template}: ${error.message}\n${text}`, { cause: error })
    const object: unknown = document.toJS()
    if (object === null || object === undefined) return []
    // Every object is held against its schema by those who ask for it.
    return [object as Manifest]
  })
}
