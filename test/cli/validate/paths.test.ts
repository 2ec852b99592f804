import { expect, test } from 'vitest'
import { pathIn, stepsTo } from '../../../src/cli/validate/paths.ts'

test.each([
  ['VirtualMachine', 'spec.template.spec.domain.cpu.cores', 'spec template spec domain cpu cores'],
  ['VirtualMachine', 'spec.domain.memory', 'spec template spec domain memory'],
  ['VirtualMachine', 'spec.dataVolumeTemplate[1].name', 'spec dataVolumeTemplates 1 metadata name'],
  ['VirtualMachine', 'nameservers', 'spec template spec dnsConfig nameservers'],
  ['VirtualMachineInstance', 'nameservers', 'spec dnsConfig nameservers'],
  ['VirtualMachineInstance', 'spec.HostDevices', 'spec domain devices HostDevices'],
  ['VirtualMachineInstance', 'spec[2].bootOrder', 'spec domain devices interfaces 2 bootOrder'],
  ['VirtualMachineInstance', 'spec.domain.resources.requests[a.b/c]', 'spec domain resources requests a.b/c'],
  ['VirtualMachinePool', 'spec.template', 'spec virtualMachineTemplate'],
  ['VirtualMachineClone', 'spec.template.labels', 'spec labelFilters'],
  ['VirtualMachineInstanceMigration', 'spec.migrationPriority', 'spec priority'],
])('of a %s, %s stands at %s', (kind, field, steps) => {
  expect(stepsTo(field, kind).join(' ')).toBe(steps)
})

test('a sentence may begin with a path', () => {
  expect(pathIn('spec.volumes[0].name: what is wrong')).toBe('spec.volumes[0].name')
  expect(pathIn('spec.cpu must be a whole number')).toBe('spec.cpu')
  expect(pathIn('special care is needed')).toBe('')
})
