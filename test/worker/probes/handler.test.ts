import { expect, test } from 'vitest'
import type { VmiSpec } from '../../../src/kinds/kubevirt.ts'
import { readHandler } from '../../../src/worker/probes/handler.ts'

const spec: VmiSpec = {
  domain: {
    devices: {
      interfaces: [
        {
          name: 'default',
          masquerade: {},
          ports: [
            { name: 'dns', port: 53, protocol: 'UDP' },
            { name: 'web', port: 8080 },
          ],
        },
      ],
    },
  },
}
const read = (probe: object) => readHandler(probe, spec, 'vm1')
const page = { type: 'http', port: 80, scheme: 'http', host: 'vm1', path: '/', headers: [] }

test.each<[string, object, unknown]>([
  ['the agent', { guestAgentPing: {} }, { type: 'ping' }],
  ['a program', { exec: { command: ['a', 'b'] } }, { type: 'exec', command: ['a', 'b'] }],
  ['a port', { tcpSocket: { port: 22 } }, { type: 'tcp', port: 22 }],
  ['a port as text', { tcpSocket: { port: '22' } }, { type: 'tcp', port: 22 }],
  ['a port by its name', { tcpSocket: { port: 'web' } }, { type: 'tcp', port: 8080 }],
  ['a page', { httpGet: { port: 80 } }, page],
  ['a page by the name of its port', { httpGet: { port: 'web' } }, { ...page, port: 8080 }],
  [
    'a page with all that can be said of it',
    {
      httpGet: {
        port: 443,
        scheme: 'HTTPS',
        host: 'www.example.org',
        path: 'live?full=1',
        httpHeaders: [{ name: 'X-A', value: '1' }],
      },
    },
    {
      ...page,
      port: 443,
      scheme: 'https',
      host: 'www.example.org',
      path: '/live?full=1',
      headers: [{ name: 'X-A', value: '1' }],
    },
  ],
])('a probe that looks at %s', (_what, probe, handler) => {
  expect(read(probe)).toEqual(handler)
})

test.each<[string, object, RegExp]>([
  ['says nothing', {}, /does not say how/],
  ['runs nothing', { exec: { command: [] } }, /does not say how/],
  ['names a port of UDP', { tcpSocket: { port: 'dns' } }, /no interface has a TCP port called "dns"/],
  ['names a port too high', { httpGet: { port: 65_536 } }, /65536 is no port/],
  ['names no port', { httpGet: {} }, /no interface has a TCP port/],
  ['names another host', { tcpSocket: { port: 22, host: '169.254.169.254' } }, /only the guest itself/],
  ['names what is no host', { httpGet: { port: 80, host: 'a b' } }, /"a b" is no host/],
])('a probe that %s is not run', (_what, probe, why) => {
  expect(read(probe)).toMatch(why)
})
