/** With whose rights something is done for a VM after it was written. Source: "Cloning across namespaces" in KubeVirt's
 * user guide; security.md, B7 and D3. */
import { guardReader } from '../../instancetype/guarded-reader.ts'
import type { Getter } from '../../instancetype/find.ts'
import type { MayUse } from '../../kinds/foreign-use.ts'
import type { Vm } from '../../kinds/kubevirt.ts'
import { serviceAccountUser } from '../../kinds/service-account.ts'
import type { VmContext } from './reconcile.ts'

type AccountContext = Pick<VmContext, 'store' | 'foreignUses'>

/** What the VM's own service account may use of other namespaces: who wrote the VM is not asked any more. */
export function mayVmUse({ foreignUses }: Pick<AccountContext, 'foreignUses'>, vm: Vm): MayUse {
  const { namespace } = vm.metadata
  return foreignUses(serviceAccountUser({ namespace, name: accountNameOf(vm) }))
}

/** The service account that the guest is to have, else `default`. Admission sees to it that it is one (VMI-SA-002). */
function accountNameOf({ spec: { template } }: Vm): string {
  const { volumes = [] } = template.spec
  const named = 'serviceAccountName' in template.spec ? template.spec.serviceAccountName : undefined
  if (typeof named === 'string' && named !== '') return named
  const accounts = volumes.flatMap(({ serviceAccount }) => serviceAccount?.serviceAccountName || [])
  return accounts[0] ?? 'default'
}

/** The store, with the VM's own rights where it reads in other namespaces. */
export function readAs(context: AccountContext, vm: Vm): Getter {
  return guardReader(context.store, vm.metadata.namespace, mayVmUse(context, vm))
}
