/** Names of what an installation keeps about itself, in its own namespace. */

/** Where our parts and what they need are, unless an installation says otherwise. */
export const INSTALL_NAMESPACE = 'kubevirt'

/** Secrets of type `kubernetes.io/tls` with `tls.crt`, `tls.key` and `ca.crt`. */
export const TLS_SECRETS = {
  /** Signs what clients of the API server see. Read by the controller alone. */
  servingAuthority: 'virtgate-serving-ca',
  /** Shown by the API server and the webhooks. Source: contract, subresources 8.4. */
  serving: 'kubevirt-virt-api-certs',
  /** Signs what the parts of an installation show each other. Read by the controller alone. */
  internalAuthority: 'virtgate-internal-ca',
  /** Shown by the API server to workers. */
  apiserver: 'virtgate-apiserver-certs',
  /** Shown by the controller to workers. */
  controller: 'virtgate-controller-certs',
  /** Shown to workers by whoever reads their metrics. */
  monitor: 'virtgate-monitor-certs',
  /** Shown by the controller to workers that enrol, and to who reads its metrics. */
  enrolment: 'virtgate-enrolment-certs',
} as const

/** Secret whose keys are the tokens with which workers may enrol. */
export const JOIN_TOKENS_SECRET = 'virtgate-join-tokens'

/** ConfigMap whose `ca.crt` names the authorities that parts of an installation believe; nothing in it is secret. */
export const TRUST_CONFIGMAP_NAME = 'virtgate-internal-ca'

/** Written on the Secret of an authority to ask for a new one: each other value asks anew. */
export const RENEW_ANNOTATION = 'virtgate.io/renew'

/** The Service in front of the API server; its certificate is for `virt-api.NAMESPACE.svc`. */
export const API_SERVICE_NAME = 'virt-api'
/** The Service in front of the controllers, where workers enrol. */
export const CONTROLLER_SERVICE_NAME = 'virt-controller'

/** What the certificate of every worker is for, besides its node: who reads metrics goes by a name. */
export const WORKER_SERVER_NAME = 'virt-handler'

/** The Lease by which controllers agree on who leads. */
export const LEADER_LEASE = 'virtgate-controller'

/** Objects that tell kube-apiserver whose certificates to believe: names by kind. */
export const REGISTRATIONS = {
  apiServices: ['v1.subresources.kubevirt.io', 'v1alpha3.subresources.kubevirt.io'],
  mutating: ['virt-api-mutator', 'virt-launcher-pod-mutator'],
  validating: ['virt-api-validator'],
} as const
