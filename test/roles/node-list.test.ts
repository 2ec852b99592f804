import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseNode, parseNodeList, readNodeList } from '../../src/roles/node-list.ts'

test.each([
  ['node01=10.0.0.1:8186', { name: 'node01', host: '10.0.0.1', port: 8186 }],
  ['a.example=worker.example:1', { name: 'a.example', host: 'worker.example', port: 1 }],
  ['v6=[fd00::1]:8186', { name: 'v6', host: 'fd00::1', port: 8186 }],
])('%s is a node', (text, node) => {
  expect(parseNode(text)).toEqual(node)
})

test.each([
  ['node01', 'names no worker'],
  ['node01=8186', 'names no worker'],
  ['node01=:8186', 'names no worker'],
  ['node01=10.0.0.1:0', 'names no worker'],
  ['node01=10.0.0.1:65536', 'names no worker'],
  ['node01=fd00::1:8186', 'names no worker'],
  ['=10.0.0.1:8186', 'no name of a node'],
  ['Node=10.0.0.1:8186', 'no name of a node'],
])('%s is refused', (text, why) => {
  expect(() => parseNode(text)).toThrow(why)
})

test.each([
  ['a list', '- {name: a, address: "10.0.0.1:1"}\n- name: b\n  address: 10.0.0.2:2\n', ['a', 'b']],
  ['an empty file', '', []],
  ['JSON', '[{"name": "a", "address": "10.0.0.1:1"}]', ['a']],
])('%s is read', (_what, text, names) => {
  expect(parseNodeList(text).map(({ name }) => name)).toEqual(names)
})

test.each([
  ['something else than a list', 'nodes: []', 'holds no list'],
  ['an entry without an address', '- name: a', 'is no {name: NAME, address: "ADDRESS:PORT"}'],
  ['a name that stands twice', '[{name: a, address: "h:1"}, {name: a, address: "h:2"}]', 'named twice'],
  ['text that is no YAML', '- [', 'Flow sequence'],
])('%s is refused, naming the file', async (_what, text, why) => {
  const dir = await mkdtemp('/tmp/virtgate-nodes-')
  const file = join(dir, 'nodes.yaml')
  await writeFile(file, text)
  await expect(readNodeList(file)).rejects.toThrow(why)
  await expect(readNodeList(file)).rejects.toThrow(file)
  await rm(dir, { recursive: true })
})
