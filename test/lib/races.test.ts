import { expect, test } from 'vitest'
import { conflict, notFound } from '../../src/lib/errors.ts'
import { retryRaces } from '../../src/lib/races.ts'

const KIND = { group: '', kind: 'secrets' }
const race = () => conflict(KIND, 'a', 'somebody was faster')

/** Fails with these errors, one after the other, and succeeds then. */
function failing(...errors: Error[]) {
  const tried = { times: 0 }
  const attempt = async () => {
    const error = errors[tried.times++]
    if (error) throw error
    return 'done'
  }
  return { tried, attempt }
}

test('what somebody was faster with is tried again', async () => {
  const { tried, attempt } = failing(race(), race())
  expect(await retryRaces(['Conflict'], attempt)).toBe('done')
  expect(tried.times).toBe(3)
})

test('everything else is not', async () => {
  const { tried, attempt } = failing(race(), notFound(KIND, 'a'))
  await expect(retryRaces(['Conflict'], attempt)).rejects.toMatchObject({ code: 404 })
  expect(tried.times).toBe(2)
})

test('after ten times it is given up', async () => {
  const { tried, attempt } = failing(...Array.from({ length: 20 }, race))
  await expect(retryRaces(['Conflict'], attempt)).rejects.toMatchObject({ code: 409 })
  expect(tried.times).toBe(10)
})
