/** The media type of OpenAPI v2 as protobuf. */
export const V2_PROTOBUF = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf'

/** The same as kubectl asks for it, and takes nothing else; a media type may not have an @. Source: kube-openapi. */
export const V2_PROTOBUF_ASKED = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf'

/**
 * OpenAPI v2 as protobuf, without a definition in it.
 *
 * kubectl reads it before it sends a `List`, to validate its items by itself, and gives up where there is none. Of kinds
 * that it does not find there it leaves validation to the server, which does it better. Source: message `Document` of
 * `OpenAPIv2.proto` in google/gnostic.
 */
export function encodeOpenApiV2(version: string): Buffer {
  const info = Buffer.concat([field(1, 'Kubernetes'), field(2, version)])
  return Buffer.concat([field(1, '2.0'), field(2, info), field(8, '')])
}

/** A field whose number and length each fit into one byte. */
function field(number: number, content: Buffer | string): Buffer {
  const bytes = Buffer.from(content)
  if (number > 15 || bytes.length > 127) throw new RangeError(`field ${number} is too long for its encoding`)
  return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes])
}
