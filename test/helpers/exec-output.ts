import type { Readable } from 'node:stream'
import { createInterface } from 'node:readline'
import type { ExecOutput } from '../../src/rpc/actions.ts'

/** All that came of a program in a guest. */
export interface ExecResult {
  stdout: string
  stderr: string
  exitCode?: number
  failure?: string
  /** When each line came, in milliseconds since the first call. */
  times: { atMs: number; line: ExecOutput }[]
}

/** Reads a stream of `ExecOutput` to its end. */
export async function readExec(stream: Readable): Promise<ExecResult> {
  const began = performance.now()
  const result: ExecResult = { stdout: '', stderr: '', times: [] }
  for await (const text of createInterface({ input: stream })) {
    const line = JSON.parse(text) as ExecOutput
    result.times.push({ atMs: performance.now() - began, line })
    if ('stdout' in line) result.stdout += Buffer.from(line.stdout, 'base64').toString('latin1')
    else if ('stderr' in line) result.stderr += Buffer.from(line.stderr, 'base64').toString('latin1')
    else Object.assign(result, line)
  }
  return result
}
