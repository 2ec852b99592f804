import { globSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { parse } from 'yaml'
import type { JsonRecord } from '../../src/lib/json.ts'

/** Where the chart is. */
export const CHART = 'charts/virtgate'

/** The sets of values that the chart is tested with: its own, and those that come with it, by their names. */
export function readValueSets(): [string, JsonRecord][] {
  return [
    ['default', {}],
    ...globSync(`${CHART}/ci/*-values.yaml`)
      .toSorted()
      .map((path): [string, JsonRecord] => {
        const values = parse(readFileSync(path, 'utf8')) as JsonRecord
        return [basename(path, '-values.yaml'), values]
      }),
  ]
}
