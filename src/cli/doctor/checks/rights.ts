import { serviceAccountUser } from '../../../kinds/service-account.ts'
import type { PolicyRule } from '../../../kinds/core.ts'
import { fine, wrong, type Account, type Check, type Doctor, type Finding } from '../check.ts'

/** Reviews at a time: enough to be quick, and few enough that nobody notices. */
const AT_ONCE = 10

/** Whether our own parts may do what they have to. */
export const rights: Check = {
  name: 'rights',
  isForEmbedded: false,
  async run(doctor) {
    const accounts = await doctor.accounts()
    return Promise.all(accounts.map((account) => look(doctor, account)))
  },
}

interface Right {
  group: string
  resource: string
  subresource: string
  verb: string
  name?: string
  /** Everywhere where absent. */
  namespace?: string
}

/** Every right that a rule gives, one by one. */
function* rightsOf({ apiGroups = [], resources = [], verbs, resourceNames }: PolicyRule): Iterable<Right> {
  for (const group of apiGroups)
    for (const full of resources)
      for (const verb of verbs)
        for (const name of resourceNames ?? [undefined]) {
          const [resource = '', subresource = ''] = full.split('/')
          yield { group, resource, subresource, verb, ...(name !== undefined && { name }) }
        }
}

async function look(doctor: Doctor, { name, rules, ownRules }: Account): Promise<Finding> {
  const { namespace } = doctor
  const wanted: Right[] = [
    ...rules.flatMap((rule) => [...rightsOf(rule)]),
    ...ownRules.flatMap((rule) => [...rightsOf(rule)].map((right) => ({ ...right, namespace }))),
  ]
  const missing = await filterMissing(doctor, name, wanted)
  if (missing.length === 0) return fine(`${name} may do all that it has to (${wanted.length} rights)`)
  const shown = missing.slice(0, 3).map(({ verb, group, resource, subresource, namespace: where }) => {
    const what = `${[resource, subresource].filter(Boolean).join('/')}${group && `.${group}`}`
    return `${verb} ${what}${where ? ` in ${where}` : ''}`
  })
  return wrong(
    `${name} may not ${shown.join(', ')}${missing.length > shown.length ? ` and ${missing.length - shown.length} more` : ''}`,
    'install the chart again: a role or its binding was changed',
  )
}

/** In their order, whichever is answered first. */
async function filterMissing(doctor: Doctor, account: string, wanted: readonly Right[]): Promise<Right[]> {
  const allowed = new Set<Right>()
  const left = wanted.values()
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const right of left) if (await isAllowed(doctor, account, right)) allowed.add(right)
    }),
  )
  return wanted.filter((right) => !allowed.has(right))
}

async function isAllowed(
  { client, namespace, signal }: Doctor,
  account: string,
  right: Right,
): Promise<boolean> {
  const { name: user, groups } = serviceAccountUser({ namespace, name: account })
  const { status } = await client.call<{ status: { allowed: boolean } }>({
    method: 'POST',
    path: '/apis/authorization.k8s.io/v1/subjectaccessreviews',
    body: {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: {
        user,
        groups,
        resourceAttributes: right,
      },
    },
    signal,
  })
  return status.allowed
}
