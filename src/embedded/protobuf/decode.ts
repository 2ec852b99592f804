import { badRequest, unsupportedMediaType } from '../../lib/errors.ts'
import { isRecord, type JsonRecord } from '../../lib/json.ts'
import { fieldsOf } from './messages/index.ts'
import { WireError, WireReader } from './reader.ts'
import { message, TEXT, type Fields } from './shapes.ts'
import { findBytes, readFields } from './values.ts'

/** The media type of Kubernetes' envelope around a message. */
export const PROTOBUF = 'application/vnd.kubernetes.protobuf'

/** What such a body begins with. Source: "Kubernetes Protobuf encoding" in the Kubernetes API concepts. */
const MAGIC = Buffer.from('k8s\0')

/** The fields of `runtime.Unknown` in k8s.io/apimachinery, but for number 2: `raw`, the object itself. */
const UNKNOWN: Fields = {
  1: ['typeMeta', message({ 1: ['apiVersion', TEXT], 2: ['kind', TEXT] })],
  3: ['contentEncoding', TEXT],
}
const RAW = 2

/**
 * The object in a body of Kubernetes' protocol buffers, as the same client would have written it in JSON.
 *
 * Throws 400 where it cannot be read, 415 where it holds a kind that this server takes as JSON or YAML alone.
 */
export function decodeObject(body: Buffer): JsonRecord {
  try {
    return decodeEnvelope(body)
  } catch (error) {
    if (error instanceof WireError) throw badRequest(`the body is not valid protobuf: ${error.message}`)
    throw error
  }
}

function decodeEnvelope(body: Buffer): JsonRecord {
  if (!body.subarray(0, MAGIC.length).equals(MAGIC)) {
    throw new WireError('it does not begin with "k8s" and a zero, as Kubernetes has it')
  }
  const { typeMeta, contentEncoding } = readFields(new WireReader(body, MAGIC.length), UNKNOWN)
  if (contentEncoding !== undefined) throw new WireError('the object inside must not be encoded once more')
  const { apiVersion, kind } = isRecord(typeMeta) ? typeMeta : {}
  if (typeof apiVersion !== 'string' || typeof kind !== 'string') {
    throw new WireError('it does not say its apiVersion and kind')
  }
  const fields = fieldsOf(apiVersion, kind)
  if (!fields) {
    throw unsupportedMediaType(
      `${kind} (${apiVersion}) is not accepted as ${PROTOBUF}: send it as application/json or application/yaml`,
    )
  }
  const raw = findBytes(new WireReader(body, MAGIC.length), RAW) ?? Buffer.alloc(0)
  return readFields(new WireReader(raw), fields, { apiVersion, kind })
}
