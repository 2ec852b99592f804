import type { PolicyRule } from '../../kinds/core.ts'
import {
  API_SERVER_ACCOUNT,
  apiServerOwnRules,
  apiServerRules,
  CONTROLLER_ACCOUNT,
  controllerOwnRules,
  controllerRules,
} from './accounts.ts'
import { SUBRESOURCE_GRANTS } from './subresource-grants.ts'

/** What each of our accounts has to be allowed: in the whole cluster (`rules`), and in the namespace of the installation (`ownRules`). */
export function accountNeeds(): { name: string; rules: PolicyRule[]; ownRules: PolicyRule[] }[] {
  return [
    { name: API_SERVER_ACCOUNT.name, rules: apiServerRules(), ownRules: apiServerOwnRules() },
    {
      name: CONTROLLER_ACCOUNT.name,
      rules: controllerRules(SUBRESOURCE_GRANTS),
      ownRules: controllerOwnRules(),
    },
  ]
}
