import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempDisposableSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const INIT = 'image/worker-init.sh'

/** Runs a shell script as the worker; `$LOG` is a file for it to write to. */
function start(script: string, log: string) {
  const env = { ...process.env, LOG: log, WORKER_RESTART_SECONDS: '0' }
  return spawn('sh', [INIT, 'sh', '-c', script], { env, stdio: ['ignore', 'pipe', 'pipe'] })
}

test('a worker that crashes is started again, and a signal ends both', async () => {
  using directory = mkdtempDisposableSync(join(tmpdir(), 'virtgate-init-'))
  const log = join(directory.path, 'log')
  const init = start(
    'echo started >>"$LOG"; [ "$(wc -l <"$LOG")" -lt 3 ] && kill -9 $$; ' +
      'trap "echo asked >>\\"$LOG\\"; exit 7" TERM; echo ready; while :; do sleep 0.05; done',
    log,
  )
  await once(init.stdout, 'data')
  init.kill('SIGTERM')
  const [code] = await once(init, 'exit')
  expect(code).toBe(7)
  expect(readFileSync(log, 'utf8')).toBe('started\nstarted\nstarted\nasked\n')
})

test('it says how a worker ended', async () => {
  using directory = mkdtempDisposableSync(join(tmpdir(), 'virtgate-init-'))
  const init = start(
    'echo "$#" >>"$LOG"; [ "$(wc -l <"$LOG")" -lt 2 ] && exit 3; echo ready; exec sleep 60',
    join(directory.path, 'log'),
  )
  const [said] = await once(init.stderr, 'data')
  expect(String(said)).toContain('the worker ended with code 3')
  await once(init.stdout, 'data')
  init.kill('SIGTERM')
  await once(init, 'exit')
})
