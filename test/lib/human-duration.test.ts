import { expect, test } from 'vitest'
import { formatDuration } from '../../src/lib/human-duration.ts'

const [SECOND, MINUTE, HOUR, DAY] = [1, 60, 3600, 86_400]

// Source: the table of TestHumanDuration in k8s.io/apimachinery.
test.each([
  [-2 * SECOND, '<invalid>'],
  [-1 * SECOND, '0s'],
  [0, '0s'],
  [SECOND, '1s'],
  [70 * SECOND, '70s'],
  [190 * SECOND, '3m10s'],
  [10 * MINUTE, '10m'],
  [5 * MINUTE, '5m'],
  [47 * MINUTE, '47m'],
  [150 * MINUTE, '150m'],
  [3 * HOUR, '3h'],
  [3 * HOUR + 59 * SECOND, '3h'],
  [3 * HOUR + MINUTE, '3h1m'],
  [8 * HOUR, '8h'],
  [47 * HOUR, '47h'],
  [2 * DAY, '2d'],
  [5 * DAY + 3 * HOUR, '5d3h'],
  [8 * DAY, '8d'],
  [729 * DAY, '729d'],
  [730 * DAY, '2y'],
  [760 * DAY, '2y30d'],
  [8 * 365 * DAY + 10 * DAY, '8y'],
])('%i seconds read as %s', (seconds, text) => {
  expect(formatDuration(seconds * 1000)).toBe(text)
})
