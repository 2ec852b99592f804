import type { RbacSource } from '../../src/auth/rbac/source.ts'
import type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  Role,
  RoleBinding,
  RoleRef,
  Subject,
} from '../../src/kinds/core.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { Log } from '../../src/lib/log.ts'

const META = { uid: 'u', resourceVersion: '1', creationTimestamp: '2030-01-01T00:00:00Z' }
const apiVersion = 'rbac.authorization.k8s.io/v1'
const apiGroup = 'rbac.authorization.k8s.io'

/** Looks at VMs. */
export const READ_VMS: PolicyRule = {
  verbs: ['get', 'list'],
  apiGroups: ['kubevirt.io'],
  resources: ['virtualmachines'],
}

export function role(namespace: string, name: string, rules: PolicyRule[]): Role {
  return { apiVersion, kind: 'Role', metadata: { ...META, namespace, name }, rules }
}

export function clusterRole(name: string, rules: PolicyRule[], labels?: Record<string, string>): ClusterRole {
  return { apiVersion, kind: 'ClusterRole', metadata: { ...META, name, ...(labels && { labels }) }, rules }
}

const refTo = (ref: string): RoleRef => {
  const [kind, name = ''] = ref.split('/')
  return { apiGroup, kind: kind === 'Role' ? 'Role' : 'ClusterRole', name }
}

/** `ref` is `Role/name` or `ClusterRole/name`. */
export function roleBinding(namespace: string, name: string, ref: string, subjects: Subject[]): RoleBinding {
  return {
    apiVersion,
    kind: 'RoleBinding',
    metadata: { ...META, namespace, name },
    roleRef: refTo(ref),
    subjects,
  }
}

export function clusterRoleBinding(name: string, ref: string, subjects: Subject[]): ClusterRoleBinding {
  return {
    apiVersion,
    kind: 'ClusterRoleBinding',
    metadata: { ...META, name },
    roleRef: refTo(ref),
    subjects,
  }
}

export const userSubject = (name: string): Subject => ({ kind: 'User', apiGroup, name })
export const groupSubject = (name: string): Subject => ({ kind: 'Group', apiGroup, name })

type Objects = Role | ClusterRole | RoleBinding | ClusterRoleBinding

/** Roles and bindings that do not change. */
export function fixedSource(...objects: Objects[]): RbacSource {
  const of = <T extends Objects>(kind: string) => objects.filter((object) => object.kind === kind) as T[]
  return {
    role: (namespace, name) =>
      of<Role>('Role').find(({ metadata }) => metadata.namespace === namespace && metadata.name === name),
    clusterRole: (name) => of<ClusterRole>('ClusterRole').find(({ metadata }) => metadata.name === name),
    roleBindings: (namespace) =>
      of<RoleBinding>('RoleBinding').filter(({ metadata }) => metadata.namespace === namespace),
    clusterRoleBindings: () => of<ClusterRoleBinding>('ClusterRoleBinding'),
    assertCurrent() {},
  }
}

/** A clock that is set by hand; timers run at once, so that nothing waits. */
export function handClock(start = Date.parse('2030-01-01T00:00:00Z')): Clock & { set(ms: number): void } {
  let time = start
  return {
    now: () => time,
    set: (ms) => void (time = ms),
    after(_delay, run) {
      const timer = setImmediate(run)
      return { [Symbol.dispose]: () => clearImmediate(timer) }
    },
  }
}

/** Says nothing. */
export const silent: Log = { debug() {}, info() {}, warn() {}, error() {} }
