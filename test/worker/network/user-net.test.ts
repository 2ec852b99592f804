import { expect, test } from 'vitest'
import { QmpError } from '../../../src/qemu/qmp/client.ts'
import { addForward, clearForwards, parseUserNets } from '../../../src/worker/network/user-net.ts'
import { memoryLog } from '../../helpers/api.ts'

/** As QEMU 7.2 prints it. */
const PRINTED = [
  'Hub -1 (hn-default):',
  '  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ',
  '  TCP[SYN_SENT]      15      127.86.3.4 34937        10.0.2.2    80     0     0',
  '  TCP[HOST_FORWARD]  14      127.86.3.4 34937        10.0.2.2    80     0     0',
  '  UDP[HOST_FORWARD]  16     127.86.9.9 1024        10.0.2.2     7     0     0',
  '  UDP[236 sec]       17        10.0.2.2 41000    192.0.2.53    53     0     0',
  'Hub -1 (hn-second):',
  '  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ',
  '  TCP[HOST_FORWARD]  18       127.0.0.1 18080        10.0.3.2    80     0     0',
  '',
].join('\r\n')

/** A monitor that answers `info usernet` with that, and anything else as told. */
function monitor(answer: (line: string) => string = () => '') {
  const lines: string[] = []
  return {
    lines,
    command: async <T>(_name: string, args?: object) => {
      const line = String(Object.values(args ?? {})[0])
      if (line !== 'info usernet') lines.push(line)
      // The commands here answer with texts.
      return (line === 'info usernet' ? PRINTED : answer(line)) as T
    },
  }
}

test('the table of QEMU is read, whatever stands in it', () => {
  const { networks, rows } = parseUserNets(PRINTED)
  expect(networks).toEqual(['hn-default', 'hn-second'])
  expect(rows).toContainEqual({
    network: 'hn-default',
    protocol: 'tcp',
    state: 'SYN_SENT',
    address: '127.86.3.4',
    port: 34_937,
  })
  expect(rows.map(({ network, state }) => `${network} ${state}`)).toEqual([
    'hn-default SYN_SENT',
    'hn-default HOST_FORWARD',
    'hn-default HOST_FORWARD',
    'hn-default 236 sec',
    'hn-second HOST_FORWARD',
  ])
  expect(parseUserNets('unknown command: info usernet\r\n')).toEqual({ networks: [], rows: [] })
})

test('QEMU listens at an address of our own part of the loopback; one that is taken makes it try another', async () => {
  let tries = 0
  const machine = monitor(() => (++tries < 3 ? "could not set up host forwarding rule 'x'\r\n" : ''))
  const { address, port } = await addForward(machine, 'hn-default', 'tcp', 22)
  expect(address).toMatch(/^127\.86\./)
  expect(machine.lines).toHaveLength(3)
  expect(machine.lines[2]).toBe(`hostfwd_add hn-default tcp:${address}:${port}-:22`)
})

test('a QEMU that will not listen at all says why', async () => {
  const machine = monitor(() => 'network is gone\r\n')
  await expect(addForward(machine, 'hn-default', 'tcp', 22)).rejects.toThrow('network is gone')
})

test('what is left over is closed, and what others have set up is not', async () => {
  const machine = monitor()
  await clearForwards(machine, memoryLog())
  expect(machine.lines).toEqual([
    'hostfwd_remove hn-default tcp:127.86.3.4:34937',
    'hostfwd_remove hn-default udp:127.86.9.9:1024',
  ])
})

test('a QEMU that knows no such command keeps no guest from being adopted', async () => {
  const log = memoryLog()
  const command = () =>
    Promise.reject(new QmpError('human-monitor-command', 'CommandNotFound', 'no such command'))
  await clearForwards({ command }, log)
  expect(log.lines).toHaveLength(1)
})
