/** QEMU refused a command. `class` is stable from version to version, `desc` is for people. */
export class QmpError extends Error {
  readonly command: string
  /** Such as `GenericError`, `DeviceNotFound` or `CommandNotFound`. */
  readonly class: string
  readonly desc: string

  constructor(command: string, errorClass: string, desc: string) {
    super(`QEMU refused ${command}: ${desc}`)
    this.name = 'QmpError'
    this.command = command
    this.class = errorClass
    this.desc = desc
  }
}

/** QEMU did not answer in time. It may still do what it was asked. */
export class QmpTimeout extends Error {
  constructor(what: string, timeoutMs: number) {
    super(`QEMU did not answer within ${timeoutMs} ms: ${what}`)
    this.name = 'QmpTimeout'
  }
}

/** There is no connection to the monitor, or not any more. */
export class QmpClosed extends Error {
  constructor(what: string, cause?: unknown) {
    super(what, cause === undefined ? undefined : { cause })
    this.name = 'QmpClosed'
  }
}
