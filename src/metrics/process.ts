/** The process itself, as every client library of Prometheus tells of it. */
import { readdir, readFile } from 'node:fs/promises'
import type { MetricSource, Reading } from './reading.ts'

const MICROSECONDS = 1e-6

/** Reads `/proc` at each scrape; runs no timer, so that an idle process stays idle. */
export function processSource(): MetricSource {
  const startSeconds = Date.now() / 1000 - process.uptime()
  return {
    source: 'process',
    async collect() {
      const { user, system } = process.cpuUsage()
      const { rss, heapTotal, heapUsed, external } = process.memoryUsage()
      const { utilization } = performance.eventLoopUtilization()
      const readings: [string, number | undefined][] = [
        ['process_cpu_user_seconds_total', user * MICROSECONDS],
        ['process_cpu_system_seconds_total', system * MICROSECONDS],
        ['process_cpu_seconds_total', (user + system) * MICROSECONDS],
        ['process_start_time_seconds', startSeconds],
        ['process_resident_memory_bytes', rss],
        ['process_open_fds', await countOpenFiles()],
        ['process_max_fds', await readLimit()],
        ['nodejs_heap_size_total_bytes', heapTotal],
        ['nodejs_heap_size_used_bytes', heapUsed],
        ['nodejs_external_memory_bytes', external],
        ['nodejs_eventloop_utilization', utilization],
      ]
      return [...readings.flatMap(([name, value]) => without(name, value)), versionReading()]
    },
  }
}

function without(name: string, value: number | undefined): Reading[] {
  return value === undefined ? [] : [{ name, labels: {}, value }]
}

function versionReading(): Reading {
  const [major = '', minor = '', patch = ''] = process.versions.node.split('.')
  const labels = { version: process.version, major, minor, patch }
  return { name: 'nodejs_version_info', labels, value: 1 }
}

async function countOpenFiles(): Promise<number | undefined> {
  try {
    // One of them is the directory that is being read.
    return (await readdir('/proc/self/fd')).length - 1
  } catch {
    // No /proc: not Linux.
    return undefined
  }
}

async function readLimit(): Promise<number | undefined> {
  try {
    const limits = await readFile('/proc/self/limits', 'utf8')
    const [, soft = ''] = /^Max open files +(\d+|unlimited)/m.exec(limits) ?? []
    return soft === 'unlimited' ? Number.POSITIVE_INFINITY : soft === '' ? undefined : Number(soft)
  } catch {
    return undefined
  }
}
