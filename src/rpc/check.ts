/** What crosses the wire is held against its type before anybody relies on it. */
import { badRequest } from '../lib/errors.ts'
import type { Reading } from '../metrics/reading.ts'
import { isRecord, type JsonRecord } from '../lib/json.ts'
import type { AgentInfo, GuestReport, NodeInfo, NodeUpdate, SyncRequest } from './actions.ts'

/** Throws 400 where `value` is no `SyncRequest` for the guest with this UID. */
export function checkSync(value: unknown, uid: string): SyncRequest {
  const request = recordAt(value, 'request')
  const vmi = recordAt(request.vmi, 'vmi')
  const metadata = recordAt(vmi.metadata, 'vmi.metadata')
  for (const field of ['uid', 'name', 'namespace'])
    expect(typeof metadata[field] === 'string', `vmi.metadata.${field}`)
  expect(metadata.uid === uid, 'vmi.metadata.uid')
  recordAt(vmi.spec, 'vmi.spec')
  expect(Number.isSafeInteger(request.epoch), 'epoch')
  for (const field of ['secrets', 'configMaps']) checkData(request[field], field)
  if (request.claims !== undefined) checkClaims(request.claims)
  if (request.networks !== undefined) checkNetworks(request.networks)
  expect(typeof recordAt(request.config, 'config').allowEmulation === 'boolean', 'config.allowEmulation')
  // The fields the wire could get wrong were checked; the VMI's spec is admission's and the worker's to judge.
  return value as SyncRequest
}

function checkClaims(value: unknown): void {
  for (const [name, found] of Object.entries(recordAt(value, 'claims'))) {
    const {
      isBound,
      volumeMode,
      accessModes,
      requestedBytes,
      capacityBytes = 0,
    } = recordAt(found, `claims.${name}`)
    expect(typeof isBound === 'boolean', `claims.${name}.isBound`)
    expect(volumeMode === 'Filesystem' || volumeMode === 'Block', `claims.${name}.volumeMode`)
    const areTexts = Array.isArray(accessModes) && accessModes.every((mode) => typeof mode === 'string')
    expect(areTexts, `claims.${name}.accessModes`)
    expect(Number.isSafeInteger(requestedBytes), `claims.${name}.requestedBytes`)
    expect(Number.isSafeInteger(capacityBytes), `claims.${name}.capacityBytes`)
  }
}

function checkNetworks(value: unknown): void {
  for (const [name, found] of Object.entries(recordAt(value, 'networks'))) {
    const { problem, bridge, vlan = 1, mtu = 576, addresses = [] } = recordAt(found, `networks.${name}`)
    expect(typeof (problem ?? bridge) === 'string', `networks.${name}.bridge`)
    expect(Number.isInteger(vlan), `networks.${name}.vlan`)
    expect(Number.isInteger(mtu), `networks.${name}.mtu`)
    const areTexts = Array.isArray(addresses) && addresses.every((address) => typeof address === 'string')
    expect(areTexts, `networks.${name}.addresses`)
  }
}

function checkData(value: unknown, at: string): void {
  for (const [name, data] of Object.entries(recordAt(value, at))) {
    const isText = Object.values(recordAt(data, `${at}.${name}`)).every((text) => typeof text === 'string')
    expect(isText, `${at}.${name}`)
  }
}

/** Throws 400 where `value` is no list of `Reading`s. */
export function checkReadings(value: unknown): Reading[] {
  expect(Array.isArray(value), 'readings')
  for (const [index, found] of (value as unknown[]).entries()) {
    const { name, labels, value: figure } = recordAt(found, `readings.${index}`)
    expect(typeof name === 'string', `readings.${index}.name`)
    expect(typeof figure === 'number', `readings.${index}.value`)
    const areTexts = Object.values(recordAt(labels, `readings.${index}.labels`)).every(isText)
    expect(areTexts, `readings.${index}.labels`)
  }
  // Each of them was looked at.
  return value as Reading[]
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

/** Throws 400 where `value` is no `GuestReport`. */
export function checkReport(value: unknown): GuestReport {
  const report = recordAt(value, 'report')
  checkGuest(report.guest)
  expect(Number.isSafeInteger(report.epoch), 'epoch')
  expect(['Scheduled', 'Running', 'Succeeded', 'Failed'].includes(String(report.phase)), 'phase')
  expect(Array.isArray(report.conditions) && report.conditions.every(isRecord), 'conditions')
  expect(Array.isArray(report.events) && report.events.every(isRecord), 'events')
  recordAt(report.status, 'status')
  if (report.migration !== undefined) checkMigration(recordAt(report.migration, 'migration'))
  // Checked as far as the controller follows pointers into it.
  return value as GuestReport
}

function checkMigration({ migrationUid, side, phase }: JsonRecord): void {
  expect(typeof migrationUid === 'string', 'migration.migrationUid')
  expect(side === 'source' || side === 'target', 'migration.side')
  const phases = ['preparing', 'ready', 'running', 'handedOver', 'done', 'failed']
  expect(
    phases.some((known) => known === phase),
    'migration.phase',
  )
}

/** Throws 400 where `value` is no `AgentInfo`. */
export function checkAgentInfo(value: unknown): AgentInfo {
  const answer = recordAt(value, 'answer')
  recordAt(recordAt(answer.info, 'info').os, 'info.os')
  for (const field of ['users', 'filesystems']) {
    const list = answer[field]
    expect(Array.isArray(list) && list.every(isRecord), field)
  }
  // What is in it is the guest's to say, and only handed on.
  return value as AgentInfo
}

/** Throws 400 where `value` is no JSON object. */
export function checkRecord(value: unknown): Record<string, unknown> {
  return recordAt(value, 'answer')
}

/** The image in an answer. Throws 400. */
export function checkPng(value: unknown): Buffer {
  const { png } = recordAt(value, 'answer')
  if (typeof png !== 'string') throw wrong('png')
  return Buffer.from(png, 'base64')
}

/** Throws 400 where `value` is no `NodeInfo`. */
export function checkInfo(value: unknown): NodeInfo {
  const info = recordAt(value, 'info')
  for (const field of ['nodeName', 'version', 'bootId', 'architecture', 'qemuVersion', 'accelerator']) {
    expect(typeof info[field] === 'string', field)
  }
  for (const field of ['rpcVersions', 'machineTypes', 'cpuModels']) expect(Array.isArray(info[field]), field)
  for (const field of ['cpuFeatures', 'bridges']) {
    expect(info[field] === undefined || Array.isArray(info[field]), field)
  }
  const capacity = recordAt(info.capacity, 'capacity')
  expect(typeof capacity.cpus === 'number' && typeof capacity.memoryBytes === 'number', 'capacity')
  // As above.
  return value as NodeInfo
}

/** A step of a watch; `undefined` for one of a kind that a newer worker may send. Throws 400 for a broken one. */
export function checkUpdate(value: unknown): NodeUpdate | undefined {
  const update = recordAt(value, 'update')
  switch (update.type) {
    case 'snapshot':
      expect(Array.isArray(update.guests), 'guests')
      return { type: 'snapshot', guests: (update.guests as unknown[]).map(checkReport) }
    case 'report':
      return { type: 'report', guest: checkReport(update.guest) }
    case 'removed':
      return { type: 'removed', guest: checkGuest(update.guest) }
    case 'heartbeat':
      return { type: 'heartbeat' }
    default:
      return undefined
  }
}

function checkGuest(value: unknown): { uid: string; namespace: string; name: string } {
  const { uid, namespace, name } = recordAt(value, 'guest')
  if (typeof uid !== 'string' || typeof namespace !== 'string' || typeof name !== 'string')
    throw wrong('guest')
  return { uid, namespace, name }
}

function recordAt(value: unknown, at: string): JsonRecord {
  if (!isRecord(value)) throw wrong(at)
  return value
}

function expect(holds: boolean, at: string): void {
  if (!holds) throw wrong(at)
}

function wrong(at: string): Error {
  return badRequest(`the message is not as expected at "${at}"`)
}
