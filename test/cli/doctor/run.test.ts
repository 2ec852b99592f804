import { expect, test } from 'vitest'
import { fine, skipped, warning, wrong, type Check, type Finding } from '../../../src/cli/doctor/check.ts'
import { formatJson, formatText } from '../../../src/cli/doctor/print.ts'
import { runChecks } from '../../../src/cli/doctor/run.ts'
import { doctorOf } from '../../helpers/doctor.ts'

function check(name: string, run: Check['run']): Check {
  return { name, isForEmbedded: true, run }
}

const hangs = check(
  'hangs',
  ({ signal }) =>
    new Promise<Finding[]>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
    }),
)

test('a check that hangs is given up, and the others are told of', async () => {
  const good = check('good', async () => [fine('it is well')])
  const results = await runChecks([hangs, good], doctorOf({}), 20)
  expect(results).toEqual([
    {
      check: 'hangs',
      findings: [wrong('no answer within 0.02 s', 'try again, with a longer --timeout if the API is slow')],
    },
    { check: 'good', findings: [fine('it is well')] },
  ])
})

test('whoever asks can stop it', async () => {
  const stop = new AbortController()
  const running = runChecks([hangs], doctorOf({}, { signal: stop.signal }), 60_000)
  stop.abort(new Error('stopped'))
  await expect(running).rejects.toThrow('stopped')
})

test('what goes wrong in a check is one of its findings', async () => {
  const bad = check('bad', async () => Promise.reject(new Error('socket hang up')))
  const [result] = await runChecks([bad], doctorOf({}), 1000)
  expect(result?.findings[0]).toMatchObject({
    verdict: 'error',
    message: 'this could not be found out: socket hang up',
  })
})

const results = [
  { check: 'a', findings: [fine('well'), skipped('not looked at')] },
  { check: 'b', findings: [warning('old\u001b[31m', 'upgrade'), wrong('broken', 'mend it')] },
]

test('people get a line for each finding, what to do, and a summary', () => {
  expect(formatText(results)).toBe(
    [
      'ok      a: well',
      'skipped a: not looked at',
      'WARNING b: old\\u{1b}[31m',
      '        → upgrade',
      'ERROR   b: broken',
      '        → mend it',
      '1 error, 1 warning',
      '',
    ].join('\n'),
  )
  expect(formatText([{ check: 'a', findings: [fine('well')] }])).toContain('nothing is wrong')
})

test('programs get JSON', () => {
  expect(JSON.parse(formatJson(results))).toEqual({ isHealthy: false, results })
  expect(JSON.parse(formatJson([]))).toEqual({ isHealthy: true, results: [] })
})
