/** Where the certificate of a worker comes from: options of `virtgate worker`. */
import { readFile } from 'node:fs/promises'
import { Option, type Command } from 'commander'
import type { WatchedFiles } from '../../certs/watch-files.ts'
import type { EnrolmentOptions } from './worker.ts'

/** The options as they are given. */
export interface WorkerTlsOptions {
  tlsCert?: string
  tlsKey?: string
  clientCa?: string
  controller?: string
  joinToken?: string
  joinTokenFile?: string
  controllerCa?: string
}

/** Adds them to the command. */
export function addWorkerTlsOptions(command: Command): Command {
  return command
    .option(
      '--controller <url>',
      'get the certificate from a controller there, such as https://10.0.0.1:8187',
    )
    .addOption(
      new Option(
        '--join-token <token>',
        'enrol there with this token, which "virtgate token create" makes; it is needed once',
      ).conflicts('joinTokenFile'),
    )
    .option('--join-token-file <file>', 'a file with it, or with a projected service account token')
    .option(
      '--controller-ca <file>',
      'authority of the controller, PEM; a join token says it itself, that of a service account does not',
    )
    .option(
      '--advertise <address:port>',
      'where to be called, such as 10.0.0.1 or [fd00::1]:8186; where it listens, if that is one address',
    )
    .option('--tls-cert <file>', 'instead of --controller: certificate of this worker, PEM')
    .option('--tls-key <file>', 'its key, PEM')
    .option('--client-ca <file>', 'authority of those who may call, PEM')
}

/** Files, or a controller. Throws `RangeError` where the options say neither, or both. */
export function workerTls(options: WorkerTlsOptions): WatchedFiles | EnrolmentOptions {
  const { tlsCert: cert, tlsKey: key, clientCa: ca, controller } = options
  const files = [cert, key, ca].filter((file) => file !== undefined)
  if (controller !== undefined) {
    if (files.length > 0) throw new RangeError('give --controller or --tls-cert, --tls-key and --client-ca')
    const { controllerCa } = options
    return {
      controller,
      token: () => readToken(options),
      ...(controllerCa !== undefined && { controllerCa }),
    }
  }
  if (cert !== undefined && key !== undefined && ca !== undefined) return { cert, key, ca }
  throw new RangeError(
    'a worker needs a certificate: give --controller and --join-token to get one, or --tls-cert, --tls-key and --client-ca',
  )
}

/** Read whenever it is needed: the kubelet replaces the tokens of service accounts. */
async function readToken({ joinToken, joinTokenFile }: WorkerTlsOptions): Promise<string> {
  if (joinToken !== undefined) return joinToken
  if (joinTokenFile !== undefined) return readFile(joinTokenFile, 'utf8')
  throw new RangeError('this worker has no certificate yet: give it a --join-token to enrol with')
}
