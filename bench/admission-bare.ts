/** Where the server of admission.ts answers without looking into what is asked. */
export const BARE_PATH = '/bare'
