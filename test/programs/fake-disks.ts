/**
 * The disks of the stand-in for QEMU: what QMP can ask and do about block nodes, devices and memory dumps. How they
 * behave is said by words: `clings` keeps every disk it is asked to let go of, until it is asked a second time;
 * `crowded` refuses every new device; `undumpable` fails each memory dump; `moving` is being migrated.
 */
import { statSync, writeFileSync } from 'node:fs'

type Args = Record<string, unknown>

/** An error as QMP tells it. */
export class FakeFault extends Error {
  readonly class: string

  constructor(desc: string, faultClass = 'GenericError') {
    super(desc)
    this.class = faultClass
  }
}

interface FakeDevice {
  driver: string
  drive?: string | undefined
  bus?: string | undefined
  lun?: number | undefined
}

const DUMP = `\u007fELF${'m'.repeat(4096)}`

/** The commands; `tell` sends an event, `line` is the command line. */
export function fakeDisks(
  line: readonly string[],
  words: ReadonlySet<string>,
  tell: (event: string, data?: object) => void,
): Record<string, (args: Args) => unknown> {
  const nodes = new Map<string, { file: string; size: number }>()
  const devices = new Map<string, FakeDevice>()
  const asked = new Set<string>()
  const threads = new Set<string>()
  let dump = 'none'
  const values = (option: string): Args[] =>
    line.flatMap((arg, index) => {
      const value = line[index + 1] ?? ''
      return arg === option && value.startsWith('{') ? [JSON.parse(value) as Args] : []
    })
  const addNode = (args: Args): void => {
    const file = String((args['file'] as Args)['filename'])
    nodes.set(String(args['node-name']), { file, size: statSync(file, { throwIfNoEntry: false })?.size ?? 0 })
  }
  const addDevice = ({ id, driver, drive, bus, lun }: Args): void => {
    if (typeof id !== 'string') return
    devices.set(id, {
      driver: String(driver),
      drive: drive as string | undefined,
      bus: bus as string | undefined,
      lun: lun as number | undefined,
    })
  }
  for (const node of values('-blockdev')) addNode(node)
  for (const device of values('-device')) addDevice(device)
  const deviceOf = (id: unknown): FakeDevice => {
    const device = devices.get(String(id))
    if (!device) throw new FakeFault(`Device '${String(id)}' not found`, 'DeviceNotFound')
    return device
  }
  const release = (id: string): void => {
    devices.delete(id)
    tell('DEVICE_DELETED', { device: id, path: `/machine/peripheral/${id}` })
  }

  return {
    'query-migrate': () => (words.has('moving') ? { status: 'active' } : {}),
    'query-iothreads': () => [...threads].map((id) => ({ id })),
    'object-add': ({ id }) => void threads.add(String(id)),
    'object-del': ({ id }) => void threads.delete(String(id)),
    'qom-list': ({ path }) =>
      path === '/machine/peripheral'
        ? [...devices].map(([name, { driver }]) => ({ name, type: `child<${driver}>` }))
        : [{ name: 'parent_bus', type: 'link<bus>' }],
    'qom-get': ({ path, property }) => {
      const device = deviceOf(String(path).split('/').at(-1))
      return property === 'lun' ? device.lun : `/machine/peripheral/${device.bus}/${device.bus}`
    },
    'query-named-block-nodes': () =>
      [...nodes].map(([name, { file, size }]) => ({
        'node-name': name,
        file,
        image: { 'virtual-size': size },
      })),
    'query-block': () =>
      [...devices].flatMap(([id, { driver, drive }]) => {
        if (!/^(scsi-|ide-|virtio-blk)/.test(driver)) return []
        const qdev = driver.startsWith('virtio') ? `/machine/peripheral/${id}/virtio-backend` : id
        return [{ device: '', qdev, ...(drive && { inserted: { 'node-name': drive } }) }]
      }),
    'blockdev-add': (args) => {
      if (nodes.has(String(args['node-name']))) throw new FakeFault(`Duplicate nodes`)
      addNode(args)
      return {}
    },
    'blockdev-del': (args) => {
      const name = String(args['node-name'])
      if ([...devices.values()].some(({ drive }) => drive === name))
        throw new FakeFault(`Node ${name} is in use`)
      if (!nodes.delete(name)) throw new FakeFault(`Failed to find node`)
      return {}
    },
    device_add: (args) => {
      if (words.has('crowded'))
        throw new FakeFault(`Bus '${String(args['bus'])}' does not support hotplugging`)
      const { id, bus, lun } = args
      const isTaken = [...devices.values()].some(
        (other) =>
          other.bus === bus && (lun === undefined ? String(bus).startsWith('rp') : other.lun === lun),
      )
      if (isTaken || devices.has(String(id))) throw new FakeFault('the place is taken')
      if (!nodes.has(String(args['drive']))) throw new FakeFault('there is no such drive')
      addDevice(args)
      return {}
    },
    device_del: ({ id }) => {
      deviceOf(id)
      const name = String(id)
      const isFirst = !asked.has(name)
      asked.add(name)
      if (!(words.has('clings') && isFirst)) setTimeout(() => release(name), 10)
      return {}
    },
    'blockdev-open-tray': ({ id }) => void deviceOf(id),
    'blockdev-close-tray': ({ id }) => void deviceOf(id),
    'blockdev-remove-medium': ({ id }) => {
      deviceOf(id).drive = undefined
      return {}
    },
    'blockdev-insert-medium': (args) => {
      const device = deviceOf(args['id'])
      if (device.drive) throw new FakeFault('there is a medium already')
      device.drive = String(args['node-name'])
      return {}
    },
    block_resize: (args) => {
      const node = nodes.get(String(args['node-name']))
      if (node) node.size = Number(args['size'])
      return {}
    },
    'query-memory-size-summary': () => ({ 'base-memory': 1024 ** 2 }),
    'query-dump': () => ({ status: dump }),
    'dump-guest-memory': ({ protocol }) => {
      const file = String(protocol).replace(/^file:/, '')
      dump = 'active'
      setTimeout(() => {
        dump = words.has('undumpable') ? 'failed' : 'completed'
        if (dump === 'completed') writeFileSync(file, DUMP)
        tell('DUMP_COMPLETED', dump === 'failed' ? { error: 'the memory cannot be read' } : {})
      }, 20)
      return {}
    },
  }
}
