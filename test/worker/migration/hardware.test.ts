import { expect, test } from 'vitest'
import {
  countRootPorts,
  deviceIdOf,
  differenceOf,
  hardwareOf,
  macsOf,
  topologyOf,
  visibleDevice,
} from '../../../src/worker/migration/hardware.ts'

const ARGV = [
  '-S',
  '-pidfile',
  '/run/x/qemu.pid',
  '-machine',
  'pc-q35-7.2,accel=tcg',
  '-cpu',
  'max,la57=off',
  '-smp',
  'cpus=4,maxcpus=16,sockets=8,cores=2,threads=1',
  '-m',
  'size=196616K,slots=16,maxmem=768M',
  '-blockdev',
  '{"node-name":"v1-fmt","filename":"/var/a"}',
  '-device',
  '{"driver":"pcie-root-port","id":"rp0"}',
  '-device',
  '{"driver":"virtio-net-pci","id":"ua-default","mac":"02:00:00:00:00:01"}',
  '-device',
  '{"driver":"virtio-blk-pci","id":"ua-data","iothread":"iot1","drive":"v1-fmt"}',
]

test('what the guest sees of its hardware has no path of the host in it', () => {
  const hardware = hardwareOf(ARGV)
  expect(hardware).toHaveLength(7)
  expect(JSON.stringify(hardware)).not.toMatch(/run|var|iot1/)
})

test('CPUs, memory, addresses and ports are read from it', () => {
  const hardware = hardwareOf(ARGV)
  expect(topologyOf(hardware)).toEqual({
    sockets: 2,
    cores: 2,
    threads: 1,
    maxSockets: 8,
    memoryBytes: 192 * 1024 ** 2,
    maxMemoryBytes: 768 * 1024 ** 2,
  })
  expect(macsOf(hardware)).toEqual({ 'ua-default': '02:00:00:00:00:01' })
  expect(countRootPorts(hardware)).toBe(1)
  expect(hardware.map(deviceIdOf).filter(Boolean)).toEqual(['rp0', 'ua-default', 'ua-data'])
})

test('a disk that was added to the running guest is the same as one it was started with', () => {
  const started = hardwareOf(ARGV)
  const plugged = visibleDevice({ id: 'ua-data', driver: 'virtio-blk-pci', drive: 'v1-fmt' })
  expect(differenceOf([...started.slice(0, -1), plugged], started)).toBeUndefined()
})

test.each([
  ['a device less', ARGV.slice(0, -2), /the source has -device \{"drive":"v1-fmt".*nothing of it/],
  ['another CPU', ARGV.map((arg) => arg.replace('max,', 'qemu64,')), /-cpu max.*-cpu qemu64/],
])('%s is told', (_what, argv, expected) => {
  expect(differenceOf(hardwareOf(ARGV), hardwareOf(argv))).toMatch(expected)
})
