/**
 * virtctl's commands as the requests they make, in order. Source: contract, virtctl 6.1 and 6.2, recorded from the
 * stock client; nothing here asks for more, or more kindly, than it does.
 */
import type { WebSocket } from 'ws'
import { CommandFailed, jsonOf, type Wire } from './client.ts'

type Kind = 'virtualmachines' | 'virtualmachineinstances'

const VERSION_ROOT = '/apis/subresources.kubevirt.io'

/** virtctl, in one namespace. */
export class Virtctl {
  readonly wire: Wire
  readonly #namespace: string

  constructor(wire: Wire, namespace: string) {
    this.wire = wire
    this.#namespace = namespace
  }

  #s(kind: Kind, name: string, subresource: string): string {
    return `${VERSION_ROOT}/v1/namespaces/${this.#namespace}/${kind}/${name}/${subresource}`
  }

  #k(plural: string): string {
    return `/apis/kubevirt.io/v1/namespaces/${this.#namespace}/${plural}`
  }

  async #get<T>(path: string, body?: string): Promise<T> {
    return jsonOf(await this.wire.send('GET', path, body)) as T
  }

  async #put(kind: Kind, name: string, subresource: string, options?: object): Promise<void> {
    const body = options && JSON.stringify(options)
    jsonOf(await this.wire.send('PUT', this.#s(kind, name, subresource), body))
  }

  /** Runs a command as the program does: when it fails, it asks for the versions first, then says why. */
  async run<T>(command: (virtctl: this) => Promise<T>): Promise<T> {
    try {
      return await command(this)
    } catch (error) {
      await this.version()
      throw error
    }
  }

  async version(): Promise<{ gitVersion: string }> {
    const group = await this.#get<{ preferredVersion: { groupVersion: string } }>(VERSION_ROOT)
    const version = await this.#get<{ gitVersion: string }>(
      `/apis/${group.preferredVersion.groupVersion}/version`,
    )
    if (!/^v\d+\.\d+\.\d+(-[\w.-]+)?(\+[\w.-]+)?$/.test(version.gitVersion)) {
      throw new CommandFailed(`${version.gitVersion} is no semantic version`)
    }
    return version
  }

  start = (vm: string, options = {}) => this.#put('virtualmachines', vm, 'start', options)
  stop = (vm: string, options = {}) => this.#put('virtualmachines', vm, 'stop', options)
  restart = (vm: string, options = {}) => this.#put('virtualmachines', vm, 'restart', options)
  migrate = (vm: string, options = {}) => this.#put('virtualmachines', vm, 'migrate', options)
  softReboot = (vmi: string) => this.#put('virtualmachineinstances', vmi, 'softreboot')
  reset = (vmi: string) => this.#put('virtualmachineinstances', vmi, 'reset')

  async migrateCancel(vm: string): Promise<void> {
    const path = this.#k('virtualmachineinstancemigrations')
    const { items } = await this.#get<{
      items: { metadata: { name: string }; status?: { phase?: string } }[]
    }>(`${path}?labelSelector=${encodeURIComponent(`kubevirt.io/vmi-name==${vm}`)}`)
    const active = items.find(({ status }) => !['Succeeded', 'Failed'].includes(status?.phase ?? ''))
    if (!active) throw new CommandFailed(`Found no migration to cancel for ${vm}`)
    jsonOf(await this.wire.send('DELETE', `${path}/${active.metadata.name}`))
  }

  async pauseVm(name: string, verb: 'pause' | 'unpause', options = {}): Promise<void> {
    const vm = await this.#get<{ spec: { runStrategy?: string } }>(`${this.#k('virtualmachines')}/${name}`)
    try {
      await this.#put('virtualmachineinstances', name, verb, options)
    } catch (error) {
      if (!(error instanceof CommandFailed) || error.code !== 404 || error.reason !== 'NotFound') throw error
      const isHalted = vm.spec.runStrategy === 'Halted'
      throw new CommandFailed(isHalted ? `VM ${name} has RunStrategy Halted` : `${name} is not running`, 404)
    }
  }

  pauseVmi = (name: string, verb: 'pause' | 'unpause', options = {}) =>
    this.#put('virtualmachineinstances', name, verb, options)

  guestosinfo = (vmi: string) =>
    this.#get<{ guestAgentVersion?: string; os: object }>(
      this.#s('virtualmachineinstances', vmi, 'guestosinfo'),
    )
  userlist = (vmi: string) =>
    this.#get<{ items: object[] }>(this.#s('virtualmachineinstances', vmi, 'userlist'))
  fslist = (vmi: string) =>
    this.#get<{ items: object[] }>(this.#s('virtualmachineinstances', vmi, 'filesystemlist'))

  evacuateCancel = (kind: Kind, name: string) =>
    this.#put(kind, name, 'evacuate/cancel', { evacuationNodeName: '' })

  async addvolume(name: string, volume: string): Promise<void> {
    const dv = await this.wire.send(
      'GET',
      `/apis/cdi.kubevirt.io/v1beta1/namespaces/${this.#namespace}/datavolumes/${volume}`,
    )
    const isDataVolume = dv.code === 200
    if (!isDataVolume) {
      await this.#get(`/api/v1/namespaces/${this.#namespace}/persistentvolumeclaims/${volume}`)
    }
    const volumeSource = isDataVolume
      ? { dataVolume: { name: volume, hotpluggable: true } }
      : { persistentVolumeClaim: { claimName: volume, hotpluggable: true } }
    const disk = { name: '', disk: { bus: 'scsi' }, serial: volume }
    await this.#onEither(name, 'addvolume', { name: volume, disk, volumeSource })
  }

  removevolume = (name: string, volume: string) => this.#onEither(name, 'removevolume', { name: volume })

  /** The VM, and where there is none the VMI. */
  async #onEither(name: string, subresource: string, options: object): Promise<void> {
    try {
      await this.#put('virtualmachines', name, subresource, options)
    } catch (error) {
      if (!(error instanceof CommandFailed) || error.reason !== 'NotFound') throw error
      await this.#put('virtualmachineinstances', name, subresource, options)
    }
  }

  memoryDump = (vm: string, claimName: string) =>
    this.#put('virtualmachines', vm, 'memorydump', { claimName, phase: '' })
  memoryDumpRemove = (vm: string) => this.#put('virtualmachines', vm, 'removememorydump')

  expandVm = (vm: string) => this.#get<object>(this.#s('virtualmachines', vm, 'expand-spec'))

  async expandFile(manifest: object): Promise<object> {
    const path = `${VERSION_ROOT}/v1/namespaces/${this.#namespace}/expand-vm-spec`
    const headers = { 'content-type': 'application/json' }
    return jsonOf(await this.wire.send('PUT', path, JSON.stringify(manifest), headers)) as object
  }

  objectgraph = (kind: Kind, name: string, options: object) =>
    this.#get<{ objectReference: { name: string }; children?: object[] }>(
      this.#s(kind, name, 'objectgraph'),
      JSON.stringify(options),
    )

  /** Tries again each second on 400, and on nothing else, for so many seconds. */
  async console(vmi: string, timeoutSeconds: number): Promise<WebSocket> {
    const path = this.#s('virtualmachineinstances', vmi, 'console')
    for (let left = timeoutSeconds; ; left -= 1) {
      try {
        return await this.wire.dial(path)
      } catch (error) {
        if (!(error instanceof CommandFailed) || error.code !== 400 || left <= 0) throw error
        await new Promise((resolve) => setTimeout(resolve, 1000))
      }
    }
  }

  vnc = (vmi: string, preserveSession: boolean) =>
    this.wire.dial(`${this.#s('virtualmachineinstances', vmi, 'vnc')}?preserveSession=${preserveSession}`)

  async vncScreenshot(vmi: string): Promise<Buffer> {
    const path = `${this.#s('virtualmachineinstances', vmi, 'vnc/screenshot')}?moveCursor=false`
    const answer = await this.wire.send('GET', path)
    if (answer.code !== 200) jsonOf(answer)
    return answer.body
  }

  portForward = (kind: Kind, name: string, port: number, protocol: 'tcp' | 'udp') =>
    this.wire.dial(this.#s(kind, name, `portforward/${port}/${protocol}`))

  usbredir = (vmi: string) => this.wire.dial(this.#s('virtualmachineinstances', vmi, 'usbredir'))

  async guestfs(): Promise<{ gsImage?: string; registry?: string; tag?: string }> {
    const group = await this.#get<{ preferredVersion: { groupVersion: string } }>(VERSION_ROOT)
    return this.#get(`/apis/${group.preferredVersion.groupVersion}/guestfs`)
  }
}
