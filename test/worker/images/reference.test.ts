import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { ImageError } from '../../../src/worker/images/error.ts'
import { defaultPolicy, parseReference } from '../../../src/worker/images/reference.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`

test.each([
  ['debian', 'docker.io', 'library/debian', 'docker.io/library/debian:latest'],
  ['debian:12', 'docker.io', 'library/debian', 'docker.io/library/debian:12'],
  ['team/image', 'docker.io', 'team/image', 'docker.io/team/image:latest'],
  ['docker.io/debian', 'docker.io', 'library/debian', 'docker.io/library/debian:latest'],
  ['index.docker.io/team/image', 'docker.io', 'team/image', 'docker.io/team/image:latest'],
  ['quay.io/a/b/c:v1.0', 'quay.io', 'a/b/c', 'quay.io/a/b/c:v1.0'],
  ['localhost/image', 'localhost', 'image', 'localhost/image:latest'],
  ['registry:5000/image', 'registry:5000', 'image', 'registry:5000/image:latest'],
  ['[::1]:5000/image:x', '[::1]:5000', 'image', '[::1]:5000/image:x'],
  [`quay.io/a@${DIGEST}`, 'quay.io', 'a', `quay.io/a@${DIGEST}`],
  [`quay.io/a:t@${DIGEST}`, 'quay.io', 'a', `quay.io/a:t@${DIGEST}`],
  ['a/b_c/d__e/f-g.h', 'docker.io', 'a/b_c/d__e/f-g.h', 'docker.io/a/b_c/d__e/f-g.h:latest'],
])('%s is understood', (text, registry, repository, name) => {
  expect(parseReference(text)).toMatchObject({ registry, repository, name })
})

test.each([
  ['nothing', ''],
  ['a tag alone', ':tag'],
  ['capitals in the name', 'quay.io/Team/image'],
  ['an empty tag', 'debian:'],
  ['a tag with a blank', 'debian:1 2'],
  ['a path that goes up', 'quay.io/../image'],
  ['a query', 'quay.io/image?x=y'],
  ['a fragment', 'quay.io/image#x'],
  ['a percent sign', 'quay.io/%2e%2e/image'],
  ['a user in the host', 'user@quay.io/image'],
  ['a scheme', 'https://quay.io/image'],
  ['a short digest', 'quay.io/image@sha256:abc'],
  ['another kind of digest', `quay.io/image@md5:${'a'.repeat(32)}`],
  ['two digests', `a@${DIGEST}@${DIGEST}`],
  ['a line break', 'quay.io/image\n'],
  ['a name without end', `quay.io/${'a'.repeat(300)}`],
  ['an empty part', 'quay.io//image'],
  ['a port that is too high', 'quay.io:70000/image'],
  ['an address in disguise', '0x7f.1/image'],
  ['an address that is none', '1.2.3.999/image'],
  ['a port that is none', 'quay.io:port/image'],
])('%s is refused, and not tried again', (_what, text) => {
  expect(() => parseReference(text)).toThrow(ImageError)
  expect(() => parseReference(text)).toThrow(
    expect.objectContaining({ reason: 'ImageRejected', retriable: false }),
  )
})

/** The full name; `undefined` where it is refused. Whatever else happens is thrown on, as is a host that is none. */
function nameOf(text: string): string | undefined {
  try {
    const { name, registry } = parseReference(text)
    return new URL(`https://${registry}/`).protocol && name
  } catch (error) {
    if (error instanceof ImageError) return undefined
    throw error
  }
}

test('whatever the text, the answer is a reference that reads the same again, or a refusal, and soon', () => {
  const pieces = fc.array(
    fc.constantFrom('a', 'B', '.', '-', '--', '_', '/', ':', '@', '0', DIGEST, 'localhost', ' '),
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        pieces.map((parts) => parts.join('')),
      ),
      (text) => {
        const name = nameOf(text)
        expect(name === undefined || nameOf(name)).toBe(name ?? true)
      },
    ),
  )
  const began = performance.now()
  expect(() => parseReference(`a${'-'.repeat(200)}!`)).toThrow(ImageError)
  expect(() => parseReference(`${'a.'.repeat(50_000)}!`)).toThrow(ImageError)
  expect(performance.now() - began).toBeLessThan(500)
})

test.each([
  ['debian', 'Always'],
  ['debian:latest', 'Always'],
  ['debian:12', 'IfNotPresent'],
  [`debian@${DIGEST}`, 'IfNotPresent'],
  [`debian:latest@${DIGEST}`, 'IfNotPresent'],
])('without a policy, %s is pulled %s', (text, policy) => {
  expect(defaultPolicy(parseReference(text))).toBe(policy)
})
