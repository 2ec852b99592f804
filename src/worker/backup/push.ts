import { createImage } from '../volumes/qemu-img.ts'
import { ignoreQmp } from './nodes.ts'
import { type ModeSteps, noteWrites, type Run, sizeOf } from './run.ts'

/** QEMU writes images of the disks. Source: contract worker-qemu 2.13. */
export const push: ModeSteps = {
  async prepare(run) {
    await makeImages(run)
    for (const { targetNode, file } of run.latest.volumes) {
      await run.machine.command('blockdev-add', {
        driver: 'qcow2',
        'node-name': targetNode,
        // What it stands on is never read: whole clusters are copied.
        backing: null,
        file: { driver: 'file', filename: file },
      })
    }
  },
  actions(run) {
    const { latest, since } = run
    return latest.volumes.flatMap(({ node, targetNode, job }) => {
      const sync = since ? { sync: 'bitmap', bitmap: since.name, 'bitmap-mode': 'never' } : { sync: 'full' }
      const data = { 'job-id': job, device: node, target: targetNode, 'auto-dismiss': false, ...sync }
      return [noteWrites(run, node), { type: 'blockdev-backup', data }]
    })
  },
  async follow() {},
  async undo({ machine, latest }) {
    for (const { targetNode } of latest.volumes) {
      await machine.command('blockdev-del', { 'node-name': targetNode }).catch(ignoreQmp)
    }
  },
}

/** Those of an incremental backup stand on the images of its checkpoint, where this node has written these. */
async function makeImages(run: Run): Promise<void> {
  const { record, parts, latest, since } = run
  const { signal } = new AbortController()
  const owner = record.state.launch?.user
  for (const { volumeName, node, file } of latest.volumes) {
    const before = since?.volumes.find((one) => one.volumeName === volumeName)?.file
    const backing = before !== undefined && { backing: { file: before, format: 'qcow2' as const } }
    await createImage(parts.qemuImg, { file, sizeBytes: sizeOf(run, node), owner, ...backing }, signal)
  }
}
