import { expect, test } from 'vitest'
import { serviceUnavailable, StatusError } from '../../src/lib/errors.ts'
import { inUse, isInUse } from '../../src/lib/in-use.ts'

test('"in use" is 503 and is known as that across the wire; another 503 is not', () => {
  const { code, details, message, reason } = inUse('taken').toStatus()
  const arrived = StatusError.fromStatus(JSON.parse(JSON.stringify({ code, details, message, reason })), 503)
  expect(arrived).toMatchObject({ code: 503, reason: 'ServiceUnavailable', message: 'taken' })
  expect(isInUse(arrived)).toBe(true)
  expect(isInUse(serviceUnavailable('taken'))).toBe(false)
  expect(isInUse(new Error('taken'))).toBe(false)
})
