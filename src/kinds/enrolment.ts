/** What workers and controllers say to each other when a worker gets its certificate. All PEM, all JSON over HTTPS. */

/** Asks for a first certificate, with a token in the `Authorization` header. */
export const ENROL_PATH = '/enrolment/v1/certificates'
/** Asks for the next certificate, with the present one. */
export const RENEW_PATH = '/enrolment/v1/renewals'
/** Says where the worker is and what it believes, with its certificate; answered when there is something to be said. */
export const CHECK_IN_PATH = '/enrolment/v1/check-ins'

/** Audience of the service account tokens that enrol workers: they are good for nothing else. */
export const ENROL_AUDIENCE = 'virtgate-enrol'

/** A check-in is answered after this long even if there is nothing to be said. */
export const CHECK_IN_HOLD_MS = 25_000

/** A request for a first certificate. */
export interface EnrolRequest {
  node: string
  csr: string
}

/** A request for the next one; the node is that of the present one. */
export interface RenewRequest {
  csr: string
}

/** A certificate, and the authorities that its holder is to believe. */
export interface IssuedCertificate {
  certificate: string
  ca: string
}

/** Where a worker is called, as `HOST:PORT`, and the `bundleHash` of what it believes. */
export interface CheckIn {
  address: string
  trust: string
}

/** What a worker is to believe, and the `keyHash` of the authority that its certificate is to come from. */
export interface CheckInAnswer {
  ca: string
  issuer: string
}
