/** Where each subresource is tested, and what a call of it looks like; `routes.table.test.ts` holds it against the list. */

export interface RouteCase {
  /** In `test/subresources`: has a case that succeeds, and one for each error of the contract. */
  file: string
  /** A body that asks for something. */
  body?: object
}

const VOLUME = {
  name: 'extra',
  disk: { name: 'extra', disk: { bus: 'scsi' } },
  volumeSource: { persistentVolumeClaim: { claimName: 'extra' } },
}

const VM: Record<string, RouteCase> = {
  start: { file: 'start.test.ts' },
  stop: { file: 'stop.test.ts', body: { gracePeriod: 1 } },
  restart: { file: 'restart.test.ts', body: { gracePeriodSeconds: 0 } },
  migrate: { file: 'migrate.test.ts' },
  'expand-spec': { file: 'expand-spec.test.ts' },
  objectgraph: { file: 'objectgraph.test.ts' },
  portforward: { file: 'portforward.test.ts' },
  addvolume: { file: 'addvolume.test.ts', body: VOLUME },
  removevolume: { file: 'removevolume.test.ts', body: { name: 'extra' } },
  memorydump: { file: 'memorydump.test.ts', body: { claimName: 'dump' } },
  removememorydump: { file: 'removememorydump.test.ts' },
  'evacuate/cancel': { file: 'evacuate-cancel.test.ts' },
}

const VMI: Record<string, RouteCase> = {
  console: { file: 'console.test.ts' },
  'console/log': { file: 'console-log.test.ts' },
  vnc: { file: 'vnc.test.ts' },
  'vnc/screenshot': { file: 'vnc-screenshot.test.ts' },
  usbredir: { file: 'usbredir.test.ts' },
  vsock: { file: 'vsock.test.ts' },
  portforward: { file: 'portforward.test.ts' },
  guestexec: { file: 'guestexec.test.ts' },
  pause: { file: 'pause.test.ts' },
  unpause: { file: 'node-actions.test.ts' },
  freeze: { file: 'freeze.test.ts', body: { unfreezeTimeout: '30s' } },
  unfreeze: { file: 'freeze.test.ts' },
  reset: { file: 'node-actions.test.ts' },
  softreboot: { file: 'node-actions.test.ts' },
  guestosinfo: { file: 'guest-agent.test.ts' },
  userlist: { file: 'guest-agent.test.ts' },
  filesystemlist: { file: 'guest-agent.test.ts' },
  addvolume: { file: 'addvolume.test.ts', body: VOLUME },
  removevolume: { file: 'removevolume.test.ts', body: { name: 'extra' } },
  objectgraph: { file: 'objectgraph.test.ts' },
  'evacuate/cancel': { file: 'evacuate-cancel.test.ts' },
  backup: { file: 'backup.test.ts', body: { backupName: 'b', cmd: 'Start', mode: 'Push' } },
  'redefine-checkpoint': { file: 'backup.test.ts', body: { name: 'c' } },
  'sev/fetchcertchain': { file: 'sev.test.ts' },
  'sev/querylaunchmeasurement': { file: 'sev.test.ts' },
  'sev/setupsession': { file: 'sev.test.ts', body: { session: 'eA==', dhCert: 'eA==' } },
  'sev/injectlaunchsecret': { file: 'sev.test.ts', body: { header: 'eA==', secret: 'eA==' } },
}

function below(plural: string, cases: Record<string, RouteCase>): [string, RouteCase][] {
  return Object.entries(cases).map(([name, one]) => [`${plural}/${name}`, one])
}

/** By the name that discovery and roles use. */
export const ROUTE_CASES: ReadonlyMap<string, RouteCase> = new Map([
  ['expand-vm-spec', { file: 'expand-vm-spec.test.ts' }],
  ...below('virtualmachines', VM),
  ...below('virtualmachineinstances', VMI),
])
