/** What goes over cards on bridges. Why those of user-mode networks are not told of is said in docs/metrics.md. */
import type { Tap } from '../network/bridge/tap.ts'
import { readKernelFile } from './kernel-file.ts'

/** What the kernel calls it, and what it is in the names of series. Source: `sysfs-class-net-statistics` of Linux. */
const FIGURES = [
  ['bytes', 'bytes_total'],
  ['packets', 'packets_total'],
  ['errors', 'errors_total'],
  ['dropped', 'packets_dropped_total'],
] as const

/** A figure of one card; `series` goes behind `kubevirt_vmi_network_`. */
export interface CardFigure {
  card: string
  series: string
  value: number
}

/** What the host sends over a card its guest receives, and the other way round. Those that are gone are left out. */
export function readCards(taps: readonly Tap[], root = '/sys/class/net'): CardFigure[] {
  return taps.flatMap(({ interface: card, device }) =>
    FIGURES.flatMap(([name, series]) =>
      (['tx', 'rx'] as const).flatMap((side) => {
        const value = readCount(`${root}/${device}/statistics/${side}_${name}`)
        const direction = side === 'tx' ? 'receive' : 'transmit'
        return value === undefined ? [] : [{ card, series: `${direction}_${series}`, value }]
      }),
    ),
  )
}

function readCount(file: string): number | undefined {
  const text = readKernelFile(file)?.trim() ?? ''
  return /^\d+$/.test(text) ? Number(text) : undefined
}
