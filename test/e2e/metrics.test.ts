/** `/metrics` of embedded mode with a worker process and a real guest: all that there is to say, from its start to its end. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Family } from '../../src/metrics/families/family.ts'
import { FAMILIES } from '../../src/metrics/families/index.ts'
import { parseExposition, valueOf, type Sample } from '../helpers/exposition.ts'
import { requireQemu } from '../helpers/guest.ts'
import { eventually, startServer, type TestServer } from '../helpers/server.ts'
import { awaitPhase, bootVm, getVmi, openConsole, paths } from '../helpers/vms.ts'

const NAME = 'counted'
const ID = { namespace: 'default', name: NAME }
const OF_VMI = { namespace: 'default', vmi: NAME }

requireQemu()('the metrics of an installation', () => {
  let server: TestServer

  beforeAll(async () => {
    server = await startServer({ args: ['--workers', '1'] })
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
  })

  async function scrape(): Promise<string> {
    let text = ''
    for await (const line of server.client.lines({ method: 'GET', path: '/metrics' })) text += `${line}\n`
    return text
  }

  function samplesOf(text: string): Sample[] {
    return [...parseExposition(text).values()].flatMap(({ samples }) => samples)
  }

  /** Series that name the VM. */
  function about(text: string): Sample[] {
    return samplesOf(text).filter(({ labels }) => [labels['name'], labels['vmi']].includes(NAME))
  }

  test('hold what processes, objects and guests say, each under a name and labels that are in the table', async () => {
    const families: Record<string, Family> = FAMILIES
    expect(about(await scrape())).toEqual([])
    await bootVm(server.client, NAME, { labels: { tier: 'front' } })
    await awaitPhase(server.client, NAME, 'Running')
    const console = await openConsole(server.client, NAME)
    await console.sees(/GUEST-READY/)
    const text = await eventually('the VM is told as running', 20_000, async () => {
      const found = await scrape()
      const isRunning = found.includes('status_group="running"')
      return isRunning && found.includes('kubevirt_vmi_memory_resident_bytes{') && found
    })
    for (const [name, { type, samples }] of parseExposition(text)) {
      const family = families[name]
      expect({ name, type }).toEqual({ name, type: family?.type })
      const known = (label: string) =>
        label === 'le' ||
        family?.labels.some(
          (one) => one === label || (one.endsWith('*') && label.startsWith(one.slice(0, -1))),
        )
      const unknown = samples.flatMap(({ labels }) => Object.keys(labels).filter((label) => !known(label)))
      expect({ name, unknown }).toEqual({ name, unknown: [] })
    }
    const one = [
      'kubevirt_virt_api_ready_status',
      'kubevirt_virt_controller_leading_status',
      'kubevirt_virt_controller_ready_status',
      'kubevirt_virt_handler_ready_status',
      'kubevirt_configuration_emulation_enabled',
    ]
    expect(one.map((name) => valueOf(text, name))).toEqual(one.map(() => 1))
    expect(valueOf(text, 'kubevirt_vm_created_by_pod_total', { namespace: 'default' })).toBe(1)
    expect(valueOf(text, 'kubevirt_console_active_connections', OF_VMI)).toBe(1)
    const [info] = parseExposition(text).get('kubevirt_vm_info')?.samples ?? []
    expect(Object.keys(info?.labels ?? {}).toSorted()).toEqual(FAMILIES.kubevirt_vm_info.labels.toSorted())
    const memory = parseExposition(text).get('kubevirt_vmi_memory_resident_bytes')?.samples ?? []
    const vmi = await getVmi(server.client, NAME)
    expect(memory).toMatchObject([
      { labels: { ...ID, node: vmi?.status?.nodeName, kubernetes_vmi_label_kubevirt_io_domain: NAME } },
    ])
    const written = { resource: 'virtualmachines', type: 'write', allowed: 'true' }
    expect(valueOf(text, 'virtgate_admission_duration_seconds_count', written)).toBeGreaterThan(0)
    expect(valueOf(text, 'virtgate_store_transaction_duration_seconds_count')).toBeGreaterThan(1)
    expect(valueOf(text, 'virtgate_store_size_bytes', { file: 'wal' })).toBeGreaterThan(0)
    const carried = { type: 'console', direction: 'to_client' }
    expect(valueOf(text, 'virtgate_stream_bytes_total', carried)).toBeGreaterThan(0)
    console.close()
  })

  test('hold nothing of a VM that is gone', async () => {
    const { vm } = paths(NAME)
    const before = await eventually('its session has ended', 10_000, async () => {
      const text = await scrape()
      return valueOf(text, 'kubevirt_console_active_connections', OF_VMI) === 0 && text
    })
    const ended = valueOf(before, 'kubevirt_vmi_last_api_connection_timestamp_seconds', OF_VMI) ?? 0
    expect(Math.abs(ended - Date.now() / 1000)).toBeLessThan(60)
    await server.client.call({ method: 'DELETE', path: vm })
    await eventually('nothing is told of it', 60_000, async () => about(await scrape()).length === 0)
  })
})
