import type { PolicyRule } from '../../kinds/core.ts'
import { API_SERVER_ACCOUNT, apiServerRules, CONTROLLER_ACCOUNT, controllerRules } from './accounts.ts'
import { SUBRESOURCE_GRANTS } from './subresource-grants.ts'

/** What each of our accounts has to be allowed in the whole cluster. */
export function accountNeeds(): { name: string; rules: PolicyRule[] }[] {
  return [
    { name: API_SERVER_ACCOUNT.name, rules: apiServerRules() },
    { name: CONTROLLER_ACCOUNT.name, rules: controllerRules(SUBRESOURCE_GRANTS) },
  ]
}
