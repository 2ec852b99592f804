import { networkInterfaces } from 'node:os'

/** Whether this machine has IPv6, if only for itself. */
export const hasIpv6 = Object.values(networkInterfaces()).some((found) =>
  found?.some(({ address }) => address === '::1'),
)
