import { Option } from 'commander'
import { parseGoDuration } from '../lib/go-duration.ts'
import { IMAGE_GC_DEFAULTS } from './image-gc.ts'
import { AUDIT_LOG_DEFAULTS, LOG_LEVELS, QEMU_LOG_MAXSIZE } from './log.ts'

/** `--log-level`. */
export function logLevel(): Option {
  return new Option('--log-level <level>', 'how much is logged to standard error, as JSON lines')
    .choices(LOG_LEVELS)
    .default('warn')
}

/** `--audit-log-maxsize`, as kube-apiserver calls it. */
export function auditLogMaxsize(): Option {
  return new Option(
    '--audit-log-maxsize <MiB>',
    'how long the audit log gets before a new one begins; 0: without end',
  )
    .argParser(count)
    .default(AUDIT_LOG_DEFAULTS.auditLogMaxsize)
}

/** `--audit-log-maxbackup`, as kube-apiserver calls it. */
export function auditLogMaxbackup(): Option {
  return new Option('--audit-log-maxbackup <n>', 'how many older audit logs are kept: FILE.1 is the youngest')
    .argParser(count)
    .default(AUDIT_LOG_DEFAULTS.auditLogMaxbackup)
}

/** `--qemu-log-maxsize`. */
export function qemuLogMaxsize(): Option {
  return new Option(
    '--qemu-log-maxsize <MiB>',
    'how much of what QEMU prints about a guest is kept (qemu.log); 0: all',
  )
    .argParser(count)
    .default(QEMU_LOG_MAXSIZE)
}

/** `--image-gc-high-threshold`, as kubelet calls it. */
export function imageGcHighThreshold(): Option {
  return new Option(
    '--image-gc-high-threshold <percent>',
    'remove images that no guest has while more of their disk is taken; 100: not for that',
  )
    .argParser(count)
    .default(IMAGE_GC_DEFAULTS.imageGcHighThreshold)
}

/** `--image-maximum-gc-age`, as kubelet calls it. */
export function imageMaximumGcAge(): Option {
  return new Option(
    '--image-maximum-gc-age <duration>',
    'remove images that no guest has had for so long, such as 168h; 0: not for that',
  )
    .argParser((text) => parseGoDuration(text) * 1000)
    .default(IMAGE_GC_DEFAULTS.imageMaximumGcAge, '168h')
}

/** `--allow-origin`. */
export function allowOrigin(): Option {
  return new Option(
    '--allow-origin <origin>',
    'page that may open consoles in browsers, such as https://console.example.org; may be repeated',
  )
    .argParser(collect)
    .default([])
}

/** `--anonymous-metrics`. */
export function anonymousMetrics(): Option {
  return new Option(
    '--anonymous-metrics',
    'let anybody read /metrics, as KubeVirt does, who reaches the port',
  )
}

/** A whole number from 0 on. Throws `RangeError`. */
export function count(text: string): number {
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < 0) throw new RangeError(`${text} is no count`)
  return number
}

/** Milliseconds of a duration such as `30s` or `8760h`. Throws `RangeError`. */
export function duration(text: string): number {
  const ms = parseGoDuration(text) * 1000
  if (ms <= 0) throw new RangeError(`${text} is no duration above nothing`)
  return ms
}

/** For options that may be repeated. */
export function collect(value: string, previous: string[]): string[] {
  return [...previous, value]
}

/** Resolves once `signal` aborts. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  const { promise, resolve } = Promise.withResolvers<void>()
  signal.addEventListener('abort', () => resolve(), { once: true })
  await promise
}
