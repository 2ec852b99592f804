import type { Vmi } from '../../src/kinds/kubevirt.ts'
import { countingVmi, depart, type Journey, type JourneyOptions, printed, reaches } from './migration.ts'
import { gapIn, type TestNode } from './two-nodes.ts'
import { refOf } from './worker.ts'

/**
 * A guest that counts, for the tests of a file in turn: each finds it where the last has left it. A test that fails has
 * to give it up, and the next one gets a new one.
 */
export class Traveller {
  readonly vmi: Vmi
  /** Where it is. */
  from: TestNode
  /** Where it may go. */
  to: TestNode
  /** Of the node that has it. */
  epoch = 1
  #text = ''

  private constructor(name: string, a: TestNode, b: TestNode) {
    this.vmi = countingVmi(name)
    this.from = a
    this.to = b
  }

  /** Boots one on the first node. */
  static async boot(name: string, a: TestNode, b: TestNode): Promise<Traveller> {
    const guest = new Traveller(name, a, b)
    await a.boot(guest.vmi)
    return guest
  }

  get ref() {
    return refOf(this.vmi)
  }

  /** All that it has printed. */
  get text(): string {
    return this.#text + printed(this.from.home, this.vmi)
  }

  /** Has it begin to move to the other node. */
  depart(options: Omit<JourneyOptions, 'epoch'> = {}): Promise<Journey> {
    return depart(this.from.worker, this.to.worker, this.vmi, { ...options, epoch: this.epoch })
  }

  /** Waits until the other node has it, and what is left of it here is gone. */
  async arrives(journey: Journey): Promise<void> {
    const { phase, failure } = await reaches(this.to.worker, journey, 'done', 'failed')
    if (phase !== 'done') throw new Error(`the guest did not arrive: ${failure ?? 'no reason given'}`)
    await reaches(this.from.worker, journey, 'handedOver')
    this.#text += await this.from.release(journey)
    this.epoch += 1
    ;[this.from, this.to] = [this.to, this.from]
  }

  /** It has stayed: the other node throws away what it had made for it. */
  async stays({ uid }: Pick<Journey, 'uid'>): Promise<void> {
    await this.to.worker.cancelMigration({ guest: this.ref, migrationUid: uid })
    await this.to.forgets(this.vmi)
  }

  /** Waits until it has counted further; answers where a number was lost or came twice. */
  async countsOn(): Promise<string | undefined> {
    await this.from.counts(this.vmi, 3)
    return gapIn(this.text)
  }
}
