import { readFileSync } from 'node:fs'

/** Milliseconds since the machine was started, those included in which it slept. Nobody sets this clock. Source: proc(5). */
export function uptimeMs(): number {
  return Math.round(Number(readFileSync('/proc/uptime', 'utf8').split(' ', 1)[0]) * 1000)
}

/** Changes with each start of the machine. Source: random(4). */
export function readBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
}
