/** Secrets and ConfigMaps. Source: `ValidateSecret` and `ValidateConfigMap` of Kubernetes. */
import { addAll, forbiddenValue, invalidValue, requiredValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import { FieldPath } from '../../lib/field-path.ts'
import { isRecord, isSameJson } from '../../lib/json.ts'
import type { AnyObject } from '../parts.ts'
import type { Strategy } from './strategy.ts'

const SIZE_LIMIT = 1024 * 1024
const KEY = /^[-._a-zA-Z0-9]{1,253}$/
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

const mapOf = (value: unknown): Record<string, unknown> => (isRecord(value) ? value : {})

function checkKeys(field: string, data: Record<string, unknown>): Cause[] {
  const causes: Cause[] = []
  for (const key of Object.keys(data)) {
    if (KEY.test(key) && key !== '.' && !key.startsWith('..')) continue
    const at = new FieldPath(field).key(key)
    causes.push(
      invalidValue(
        at,
        `Invalid value: "${key}": a valid config key must consist of alphanumeric characters, '-', '_' or '.'`,
      ),
    )
  }
  return causes
}

function checkBase64(field: string, data: Record<string, unknown>): Cause[] {
  const causes: Cause[] = []
  for (const [key, value] of Object.entries(data)) {
    if (typeof value === 'string' && BASE64.test(value.replaceAll(/[\r\n]/g, ''))) continue
    causes.push(
      invalidValue(
        new FieldPath(field).key(key),
        'Invalid value: must be base64; put plain text of a Secret into stringData',
      ),
    )
  }
  return causes
}

function checkSize(field: string, sizes: number[]): Cause[] {
  if (sizes.reduce((sum, size) => sum + size, 0) <= SIZE_LIMIT) return []
  return [
    { reason: 'FieldValueTooLong', field, message: `Too long: may not be more than ${SIZE_LIMIT} bytes` },
  ]
}

/** Bytes of each value of a map, once decoded. */
function sizesOf(map: Record<string, unknown>, encoding: 'utf8' | 'base64'): number[] {
  return Object.values(map).map((text) => (typeof text === 'string' ? Buffer.byteLength(text, encoding) : 0))
}

function checkImmutable(fields: string[], object: AnyObject, current: AnyObject | undefined): Cause[] {
  if (!current || current.immutable !== true) return []
  const causes: Cause[] = []
  if (object.immutable !== true)
    causes.push(forbiddenValue('immutable', 'Forbidden: field is immutable when `immutable` is set'))
  for (const field of fields) {
    if (!isSameJson(mapOf(object[field]), mapOf(current[field]))) {
      causes.push(forbiddenValue(field, 'Forbidden: field is immutable when `immutable` is set'))
    }
  }
  return causes
}

/** Puts `stringData` into `data`, as it is never shown again. */
function mergeStringData(object: AnyObject): void {
  const { stringData } = object
  delete object.stringData
  if (!isRecord(stringData)) return
  const encoded = Object.entries(stringData).map(([key, text]) => [
    key,
    Buffer.from(String(text)).toString('base64'),
  ])
  object.data = { ...mapOf(object.data), ...Object.fromEntries(encoded) }
}

const REQUIRED_KEYS: Record<string, string[]> = {
  'kubernetes.io/dockercfg': ['.dockercfg'],
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
  'kubernetes.io/ssh-auth': ['ssh-privatekey'],
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
}

export const secretStrategy: Strategy = {
  prepareCreate(object) {
    mergeStringData(object)
    object.type ||= 'Opaque'
  },
  prepareUpdate(object, current) {
    mergeStringData(object)
    object.type ||= current.type
  },
  check(object, current) {
    const data = mapOf(object.data)
    const causes: Cause[] = []
    addAll(causes, checkKeys('data', data))
    addAll(causes, checkBase64('data', data))
    addAll(causes, checkSize('data', sizesOf(data, 'base64')))
    for (const key of REQUIRED_KEYS[String(object.type)] ?? []) {
      if (!Object.hasOwn(data, key))
        causes.push(requiredValue(new FieldPath('data').key(key), 'Required value'))
    }
    if (current && object.type !== current.type) {
      causes.push(invalidValue('type', `Invalid value: ${JSON.stringify(object.type)}: field is immutable`))
    }
    addAll(causes, checkImmutable(['data'], object, current))
    return causes
  },
  selectableFields: { type: ({ type }) => type },
}

export const configMapStrategy: Strategy = {
  check(object, current) {
    const [data, binaryData] = [mapOf(object.data), mapOf(object.binaryData)]
    const causes: Cause[] = []
    addAll(causes, checkKeys('data', data))
    addAll(causes, checkKeys('binaryData', binaryData))
    addAll(causes, checkBase64('binaryData', binaryData))
    for (const key of Object.keys(binaryData).filter((name) => Object.hasOwn(data, name))) {
      causes.push(
        invalidValue(
          new FieldPath('data').key(key),
          `Invalid value: "${key}": duplicate of key present in binaryData`,
        ),
      )
    }
    addAll(causes, checkSize('', [...sizesOf(data, 'utf8'), ...sizesOf(binaryData, 'base64')]))
    addAll(causes, checkImmutable(['data', 'binaryData'], object, current))
    return causes
  },
}
