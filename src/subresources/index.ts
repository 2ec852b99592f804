import { addVolumeToVm, addVolumeToVmi } from './addvolume.ts'
import { backup } from './backup.ts'
import { console } from './console.ts'
import { consoleLog } from './console-log.ts'
import { vmEvacuateCancel, vmiEvacuateCancel } from './evacuate-cancel.ts'
import { expandSpec } from './expand-spec.ts'
import { expandVmSpec } from './expand-vm-spec.ts'
import { filesystemlist } from './filesystemlist.ts'
import { freeze } from './freeze.ts'
import { guestexec } from './guestexec.ts'
import { guestosinfo } from './guestosinfo.ts'
import { memoryDump } from './memorydump.ts'
import { migrate } from './migrate.ts'
import { vmiObjectGraph, vmObjectGraph } from './objectgraph.ts'
import { pause } from './pause.ts'
import { portforward, vmPortforward } from './portforward.ts'
import { redefineCheckpoint } from './redefine-checkpoint.ts'
import { removeMemoryDump } from './removememorydump.ts'
import { removeVolumeFromVm, removeVolumeFromVmi } from './removevolume.ts'
import { reset } from './reset.ts'
import { restart } from './restart.ts'
import { sevFetchCertChain } from './sev-fetchcertchain.ts'
import { sevInjectLaunchSecret } from './sev-injectlaunchsecret.ts'
import { sevQueryLaunchMeasurement } from './sev-querylaunchmeasurement.ts'
import { sevSetupSession } from './sev-setupsession.ts'
import { softreboot } from './softreboot.ts'
import { start } from './start.ts'
import { stop } from './stop.ts'
import type { Subresource } from './subresource.ts'
import { unfreeze } from './unfreeze.ts'
import { unpause } from './unpause.ts'
import { usbredir } from './usbredir.ts'
import { userlist } from './userlist.ts'
import { vnc } from './vnc.ts'
import { vncScreenshot } from './vnc-screenshot.ts'
import { vsock } from './vsock.ts'

/** Every subresource that is served, in the order discovery lists them (contract 1.4). */
export const subresources: readonly Subresource[] = [
  expandVmSpec,
  vnc,
  vncScreenshot,
  console,
  consoleLog,
  portforward,
  backup,
  redefineCheckpoint,
  pause,
  unpause,
  freeze,
  unfreeze,
  reset,
  softreboot,
  start,
  stop,
  restart,
  migrate,
  expandSpec,
  vmObjectGraph,
  vmEvacuateCancel,
  guestosinfo,
  userlist,
  filesystemlist,
  addVolumeToVmi,
  removeVolumeFromVmi,
  vmiObjectGraph,
  sevFetchCertChain,
  sevQueryLaunchMeasurement,
  sevSetupSession,
  sevInjectLaunchSecret,
  vmiEvacuateCancel,
  vmPortforward,
  addVolumeToVm,
  removeVolumeFromVm,
  memoryDump,
  removeMemoryDump,
  usbredir,
  vsock,
  guestexec,
]
