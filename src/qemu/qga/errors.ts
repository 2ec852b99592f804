import { cleanText } from './text.ts'

/** The guest's agent refused a command, answered nonsense, or not at all. What it quotes of the guest is clean. */
export class AgentError extends Error {
  /** The agent itself said no; otherwise it is silent or does not speak the protocol. */
  readonly refused: boolean
  /** What the agent itself said, where it refused. */
  readonly said: string

  constructor(command: string, why: string, refused = false, cause?: unknown) {
    const said = cleanText(why)
    super(`guest agent: ${command}: ${said}`, cause === undefined ? undefined : { cause })
    this.name = 'AgentError'
    this.refused = refused
    this.said = said
  }
}

/** The agent did not answer in time. It may still do what it was asked. */
export class AgentSilent extends AgentError {
  readonly command: string

  constructor(command: string, timeoutMs: number) {
    super(command, `it did not answer within ${timeoutMs} ms`)
    this.name = 'AgentSilent'
    this.command = command
  }
}
