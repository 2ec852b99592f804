import type { GcLimits } from '../worker/images/collect.ts'

/** How long images stay that no guest has, as options say it. */
export interface ImageGcOptions {
  /** Percent of their disk that may be taken; 100 is no limit. */
  imageGcHighThreshold: number
  /** Milliseconds; 0 is no limit. */
  imageMaximumGcAge: number
}

/** A week, and room for others on the disk. */
export const IMAGE_GC_DEFAULTS: ImageGcOptions = {
  imageGcHighThreshold: 85,
  imageMaximumGcAge: 7 * 24 * 60 * 60 * 1000,
}

/** The same as a worker takes it. */
export function imageGcOf({ imageGcHighThreshold, imageMaximumGcAge }: ImageGcOptions): GcLimits {
  return { highPercent: imageGcHighThreshold, unusedMs: imageMaximumGcAge }
}
