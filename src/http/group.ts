/** The group of all subresources. */
export const GROUP = 'subresources.kubevirt.io'
/** Its versions, the preferred one first; both serve the same (contract 1.2). */
export const VERSIONS = ['v1', 'v1alpha3'] as const
/** What stands beside discovery in each version. */
export const GROUP_ENDPOINTS = ['version', 'guestfs', 'healthz'] as const
