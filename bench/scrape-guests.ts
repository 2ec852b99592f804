/** The QEMUs of scrape.ts: one process that answers at a monitor for each of them as QEMU does, and for one not at all. */
import { createServer } from 'node:net'
import { join } from 'node:path'

const [dir = '', count = ''] = process.argv.slice(2)
const GREETING = {
  QMP: { version: { qemu: { major: 7, minor: 2, micro: 0 }, package: 'bench' }, capabilities: [] },
}
const STATS = {
  rd_operations: 1,
  wr_operations: 2,
  rd_bytes: 3,
  wr_bytes: 4,
  rd_total_time_ns: 5,
  wr_total_time_ns: 6,
  flush_operations: 7,
  flush_total_time_ns: 8,
}
const MEMORY = [
  'total-memory',
  'available-memory',
  'free-memory',
  'disk-caches',
  'swap-in',
  'swap-out',
  'major-faults',
  'minor-faults',
]
const ANSWERS: Record<string, unknown> = {
  qmp_capabilities: {},
  'query-cpus-fast': [0, 1].map((index) => ({ 'cpu-index': index, 'thread-id': process.pid })),
  'query-blockstats': ['root', 'data'].map((name) => ({
    qdev: `/machine/peripheral/ua-${name}/virtio-backend`,
    stats: STATS,
  })),
  'query-balloon': { actual: 1024 ** 3 },
  'qom-get': { 'last-update': 1, stats: Object.fromEntries(MEMORY.map((name) => [`stat-${name}`, 1024])) },
}

/** Whether it is the one that hangs once it is connected to. */
const isFrozen = (index: number): boolean => index === 0

const listening = Array.from({ length: Number(count) }, async (_, index) => {
  const server = createServer((socket) => {
    socket.write(`${JSON.stringify(GREETING)}\n`)
    let text = ''
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      const lines = text.split('\n')
      text = lines.pop() ?? ''
      for (const line of lines) {
        const { execute, id } = JSON.parse(line) as { execute: string; id: number }
        if (isFrozen(index) && execute !== 'qmp_capabilities') continue
        socket.write(`${JSON.stringify({ return: ANSWERS[execute], id })}\n`)
      }
    })
  })
  const { promise, resolve } = Promise.withResolvers<void>()
  server.listen(join(dir, `${index}.sock`), resolve)
  await promise
})
await Promise.all(listening)
process.on('disconnect', () => process.exit())
process.send?.('ready')
