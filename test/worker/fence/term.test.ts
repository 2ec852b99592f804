import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openTerm } from '../../../src/worker/fence/term.ts'

async function makeDir(): Promise<string> {
  const dir = await mkdtemp('/tmp/virtgate-term-')
  onTestFinished(() => rm(dir, { recursive: true }))
  return dir
}

test('a leader of an earlier term is refused, also by the next worker', async () => {
  const dir = await makeDir()
  const fence = await openTerm(dir)
  await fence.admit(7)
  await fence.admit(7)
  const refusal = { code: 412, reason: 'StaleLeader', message: expect.stringContaining('term 6, and term 7') }
  await expect(fence.admit(6)).rejects.toMatchObject(refusal)
  const next = await openTerm(dir)
  await expect(next.admit(6)).rejects.toMatchObject(refusal)
  await next.admit(8)
  await expect(next.admit(7)).rejects.toMatchObject({ reason: 'StaleLeader' })
})

test('what has been admitted is written down, whoever came at the same time', async () => {
  const dir = await makeDir()
  const fence = await openTerm(dir)
  await Promise.all([fence.admit(1), fence.admit(5), fence.admit(9)])
  expect(JSON.parse(await readFile(join(dir, 'leader.json'), 'utf8'))).toEqual({ epoch: 9 })
})

test.each(['', '{', '[]', '{"epoch":"7"}'])('a record %j is no reason to begin anew', async (text) => {
  const dir = await makeDir()
  await writeFile(join(dir, 'leader.json'), text)
  await expect(openTerm(dir)).rejects.toThrow('leader.json holds no term')
})

test('a call is not admitted where its term cannot be written down', async () => {
  const dir = await makeDir()
  const fence = await openTerm(join(dir, 'nowhere'))
  await expect(fence.admit(1)).rejects.toMatchObject({ code: 'ENOENT' })
  await expect(fence.admit(1)).rejects.toMatchObject({ code: 'ENOENT' })
})
