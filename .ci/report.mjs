// Reads the JSON reports of test runs.
//   node report.mjs again FIRST          prints the files to be tried again, one on a line
//   node report.mjs sum BROKEN FIRST [AGAIN]
//                                        prints "N passed, N failed[, N skipped]"; BROKEN is 1 where a check or the run itself failed
import { readFileSync } from 'node:fs'
import { relative } from 'node:path'

/** Tests with machines of their own are tried again: a busy host can keep one from answering in time. */
const REAL_PARTS = /^test\/(e2e|virtctl|cluster)\//

function read(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    console.error(`no test report: ${error.message}`)
    return undefined
  }
}

const pathOf = ({ name }) => relative(process.cwd(), name)
const isFailed = ({ status }) => status === 'failed'
const countOf = (status) => (results) =>
  results.flatMap(({ assertionResults }) => assertionResults).filter((one) => status.includes(one.status))
    .length
const passedIn = countOf(['passed'])
const skippedIn = countOf(['skipped', 'pending', 'todo'])
/** A file that does not even load fails without a failed test in it. */
const failedIn = (results) =>
  results.filter(isFailed).reduce((sum, one) => sum + Math.max(1, countOf(['failed'])([one])), 0)

function again(first) {
  const failed = read(first)?.testResults.filter(isFailed).map(pathOf) ?? []
  if (failed.every((path) => REAL_PARTS.test(path))) for (const path of failed) console.log(path)
}

function sum(broken, first, second) {
  const results = read(first)?.testResults ?? []
  const retried = second ? (read(second)?.testResults ?? []) : []
  const paths = retried.map(pathOf)
  const final = [...results.filter((one) => !paths.includes(pathOf(one))), ...retried]
  for (const one of retried.filter((result) => !isFailed(result))) {
    console.log(`${pathOf(one)} failed at first and passed when it was tried again`)
  }
  const passed = passedIn(final)
  const failed = failedIn(final) || (broken === '1' || passed === 0 ? 1 : 0)
  const skipped = skippedIn(final)
  console.log(`${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}`)
  process.exitCode = failed === 0 ? 0 : 1
}

const [what, ...rest] = process.argv.slice(2)
if (what === 'again') again(...rest)
else sum(...rest)
