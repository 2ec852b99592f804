import { constants } from 'node:crypto'

/** TLS for those who speak with their own kind alone, where nobody needs an older version. */
export const STRICT_TLS = { minVersion: 'TLSv1.3' } as const

/** The same for those who listen: without tickets no session outlives a decision about its certificate. */
export const STRICT_SERVER_TLS = { ...STRICT_TLS, secureOptions: constants.SSL_OP_NO_TICKET } as const
