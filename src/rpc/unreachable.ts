import { StatusError } from '../lib/errors.ts'

/** A worker did not answer, or not as one. Clients of the API see it as 503; `cause` is for the log. */
export class WorkerUnreachable extends StatusError {
  constructor(worker: string, action: string, cause: unknown) {
    super(503, 'ServiceUnavailable', `worker ${worker} does not answer (${action})`, undefined, cause)
    this.name = 'WorkerUnreachable'
  }
}
