import { expect, test } from 'vitest'
import { FieldPath } from '../../../src/lib/field-path.ts'
import { invalidConfig, needsKvm, resourceMissing, unsupportedDevice } from '../../../src/qemu/argv/error.ts'
import { classify, startFailed } from '../../../src/worker/guest/failure.ts'
import { ImageError } from '../../../src/worker/images/error.ts'

const at = new FieldPath('spec.x')
const full = Object.assign(new Error("ENOSPC: no space left on device, open '/srv/vm/state.json'"), {
  code: 'ENOSPC',
})

test.each([
  ['a contradiction in the spec', invalidConfig(at, 'no'), 'InvalidConfiguration', 'never'],
  ['a device that is not there', unsupportedDevice(at, 'no'), 'UnsupportedDevice', 'never'],
  ['missing hardware', resourceMissing(at, 'no'), 'HostResourceMissing', 'always'],
  ['missing KVM', needsKvm(at, 'no'), 'HypervisorUnavailable', 'never'],
  ['a registry that does not answer', new ImageError('ErrImagePull', 'no'), 'ErrImagePull', 'always'],
  ['an image that is not fit', new ImageError('ImageRejected', 'no'), 'ImageRejected', 'never'],
  ['a full disk', full, 'HostResourceMissing', 'always'],
  ['a bug', new TypeError('x is not a function'), 'StartFailed', 'few'],
  ['QEMU that gives up', startFailed('it broke'), 'StartFailed', 'few'],
  ['a disk that is in use', startFailed('Failed to get "write" lock'), 'StorageNotReady', 'always'],
  [
    'no memory',
    startFailed('unable to map backing store for guest RAM: Cannot allocate memory'),
    'HostResourceMissing',
    'always',
  ],
])('%s has its reason, and is tried again or not', (_what, error, reason, retry) => {
  expect(classify(error)).toMatchObject({ reason, retry, message: expect.any(String) })
})

test('paths of the host stay with the host', () => {
  expect(classify(full).message).not.toContain('/srv')
})
