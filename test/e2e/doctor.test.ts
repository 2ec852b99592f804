import { expect, test } from 'vitest'
import { requireQemu } from '../helpers/guest.ts'
import { runVirtgate } from '../helpers/run-virtgate.ts'
import { eventually, startServer } from '../helpers/server.ts'

requireQemu()('virtgate doctor', () => {
  test('finds nothing wrong with virtgate up, and says so when it is gone', async () => {
    await using server = await startServer()
    const said = await eventually('the worker has answered', 30_000, async () => {
      const { code, stdout } = await runVirtgate(server, 'doctor')
      return code === 0 && stdout
    })
    expect(said).toMatch(/^ok +webhooks: a VM that makes no sense is refused$/m)
    expect(said).toMatch(/^ok +workers: /m)
    expect(said).toMatch(/nothing is wrong\n$/)
    await server.stop()
    const gone = await runVirtgate(server, 'doctor')
    expect(gone.code).toBe(2)
    expect(gone.stderr).toContain('cannot reach the Kubernetes API')
  })
})
