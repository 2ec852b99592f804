import type { Definitions } from '../src/lib/schema/schema.ts'
import { DURATION, INT_OR_STRING, MICRO_TIME, QUANTITY, TIME } from './names.ts'

/** Definitions that are one value each. Their formats say what is checked: see `src/lib/schema/scalars.ts`. */
export const SCALARS: Definitions = {
  [TIME]: {
    type: 'string',
    format: 'date-time',
    description: 'A moment in RFC 3339, such as 2026-01-31T12:00:00Z.',
  },
  [MICRO_TIME]: {
    type: 'string',
    format: 'date-time',
    description: 'A moment in RFC 3339 with microseconds, such as 2026-01-31T12:00:00.000000Z.',
  },
  [DURATION]: {
    type: 'string',
    format: 'duration',
    description: 'A span of time such as 90s, 1h30m or 1.5h.',
  },
  [QUANTITY]: {
    oneOf: [{ type: 'string' }, { type: 'number' }],
    format: 'quantity',
    description:
      'A number with an optional suffix: n, u, m, k, M, G, T, P, E; Ki, Mi, Gi, Ti, Pi, Ei; or an exponent such as e3.',
  },
  [INT_OR_STRING]: {
    oneOf: [{ type: 'integer' }, { type: 'string' }],
    format: 'int-or-string',
    description: 'A whole number or a text, such as 5 or 10%.',
  },
}
