import { addForward, type Listener, type Monitor, removeForward } from './user-net.ts'
import type { Target } from './tcp.ts'

interface Shared {
  listener: Promise<Listener>
  users: number
}

/**
 * Where QEMU listens for UDP: one place for each port of the guest, shared by all who talk to it. QEMU tells answers
 * apart by the port they go to, so each gets its own; of two listeners for one port the first would get all answers.
 */
export class UdpListeners {
  readonly #shared = new Map<string, Shared>()

  /** The listener for a port, and how to let go of it. Throws as `addForward`. */
  async acquire(
    machine: Monitor,
    { network, port }: Target,
  ): Promise<{ listener: Listener; release: () => Promise<void> }> {
    const key = `${network}:${port}`
    const shared = this.#shared.get(key) ?? { listener: addForward(machine, network, 'udp', port), users: 0 }
    this.#shared.set(key, shared)
    shared.users += 1
    const leave = (): boolean => {
      shared.users -= 1
      if (shared.users > 0) return false
      this.#shared.delete(key)
      return true
    }
    try {
      const listener = await shared.listener
      const release = async (): Promise<void> => {
        if (leave()) await removeForward(machine, network, listener)
      }
      return { listener, release }
    } catch (error) {
      leave()
      throw error
    }
  }
}
