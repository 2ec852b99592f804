/** Where certificates come from: options of the roles that work for a Kubernetes API. */
import { Option, type Command } from 'commander'
import { TLS_SECRETS } from '../kinds/installation.ts'
import type { CertificatePolicy } from './certificates/installation.ts'
import { collect, duration } from './command-options.ts'
import type { TlsSource } from './watched-tls.ts'

/** The files of a pair and of what its owner believes, by the names of their options. */
type PairOption = [name: string, file: string | undefined]
type PairOptions = [cert: PairOption, key: PairOption, ca: PairOption]

/** The files, or the Secret where none is named. Throws `RangeError` where some are named and others are not. */
export function tlsSource(
  [[certName, cert], [keyName, key], [caName, ca]]: PairOptions,
  secret: string,
): TlsSource {
  if (cert !== undefined && key !== undefined && ca !== undefined) return { cert, key, ca }
  if (cert === undefined && key === undefined && ca === undefined) return { secret }
  throw new RangeError(
    `give ${[...new Set([certName, keyName, caName])].join(', ')} together, or none of them: the pair is then read ` +
      `from the Secret ${secret}, which the controller keeps`,
  )
}

/** How long certificates last, as the command line has it. */
export interface PolicyOptions {
  servingCerts: boolean
  servingHost: string[]
  caLife: number
  certLife: number
  caSpread: number
  caOverlap: number
}

/** Options of the controller, which makes the certificates of an installation. */
export function addPolicyOptions(command: Command): Command {
  const options = [
    new Option(
      '--no-serving-certs',
      'leave the certificates of the API server, and who believes them, to somebody else',
    ),
    new Option(
      '--serving-host <name>',
      'further name or address of the API server in its certificate; may be repeated',
    )
      .argParser(collect)
      .default([]),
    lasting('--ca-life', 'life of our authorities; each is replaced at two thirds', '8760h'),
    lasting('--cert-life', 'life of what they sign; replaced at two thirds', '720h'),
    lasting('--ca-spread', 'how long a new authority is made known before it signs', '10m'),
    lasting(
      '--ca-overlap',
      'how long an old authority is believed after its last signature; at least twice --cert-life',
      '1440h',
    ),
  ]
  for (const option of options) command.addOption(option)
  return command
}

function lasting(name: string, description: string, preset: string): Option {
  return new Option(`${name} <duration>`, description).argParser(duration).default(duration(preset), preset)
}

/** The options as a policy. Throws `RangeError` where they contradict each other. */
export function policyOf(options: PolicyOptions): CertificatePolicy {
  const { caLife: authorityMs, certLife: leafMs, caSpread: spreadMs, caOverlap: overlapMs } = options
  if (leafMs > authorityMs) throw new RangeError('--cert-life is longer than --ca-life: make it shorter')
  if (overlapMs < 2 * leafMs) throw new RangeError('--ca-overlap is to be at least twice --cert-life')
  if (spreadMs > authorityMs / 6) {
    throw new RangeError(
      '--ca-spread is to be at most a sixth of --ca-life: an authority has to follow in time',
    )
  }
  return {
    policy: { authorityMs, leafMs, spreadMs, overlapMs },
    ...(options.servingCerts && { serving: { hosts: options.servingHost } }),
  }
}

/** The pair that the API server shows. */
export function servingSource(cert: string | undefined, key: string | undefined): TlsSource {
  return shownSource(['--tls-cert', cert], ['--tls-key', key], TLS_SECRETS.serving)
}

/** The pair that a controller shows to who reads its metrics. */
export function metricsSource(cert: string | undefined, key: string | undefined): TlsSource {
  return shownSource(['--metrics-cert', cert], ['--metrics-key', key], TLS_SECRETS.enrolment)
}

/** What the owner of such a pair believes is said elsewhere: the certificate stands in for it. */
function shownSource(cert: PairOption, key: PairOption, secret: string): TlsSource {
  return tlsSource([cert, key, cert], secret)
}
