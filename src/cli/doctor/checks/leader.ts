import type { Lease } from '../../../kinds/core.ts'
import { LEADER_LEASE } from '../../../kinds/installation.ts'
import { find, fine, wrong, type Check } from '../check.ts'
import { ageOfLease } from '../leases.ts'

/** Whether a controller leads. Without one, nothing that is written is carried out. */
export const leader: Check = {
  name: 'leader',
  isForEmbedded: false,
  async run(doctor) {
    const { namespace } = doctor
    const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${LEADER_LEASE}`
    const lease = await find<Lease>(doctor, path)
    const advice = `see why no controller is ready: kubectl -n ${namespace} describe pods -l kubevirt.io=virt-controller`
    const holder = lease?.spec?.holderIdentity
    if (!lease || !holder) return [wrong('no controller leads', advice)]
    const { seconds, isOver } = ageOfLease(lease, doctor.now())
    if (isOver) return [wrong(`the controller ${holder} was last heard of ${seconds} s ago`, advice)]
    return [fine(`the controller ${holder} leads`)]
  },
}
