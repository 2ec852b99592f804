/**
 * Where guests are waited for that come from another worker of this machine: a part of the loopback network of its
 * own, since the rules of `network/loopback-guard.ts` keep users of guests away from all the rest of it.
 */
export const LOCAL_MIGRATION_ADDRESS = '127.87.0.1'
export const LOCAL_MIGRATION_CIDR = '127.87.0.0/16'
