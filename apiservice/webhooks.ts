/** What makes kube-apiserver ask us about objects. Source: admission-overview.md, section 7. */
import type { Webhook } from '../src/admission/webhooks/paths.ts'
import { findWebhook } from '../src/admission/webhooks/review.ts'
import { registrationMetadata, SERVICE_NAME, type InstallOptions, type Manifest } from './manifest.ts'

/** `admissionregistration.k8s.io/v1` ValidatingWebhook or MutatingWebhook, as far as we use it. */
export interface WebhookEntry {
  name: string
  clientConfig: {
    service: { name: string; namespace: string; path: string; port: number }
    caBundle?: string
  }
  rules: (Resources & { operations: string[] })[]
  failurePolicy: 'Fail' | 'Ignore'
  sideEffects: 'None' | 'NoneOnDryRun'
  admissionReviewVersions: string[]
  timeoutSeconds: number
  matchConditions?: { name: string; expression: string }[]
  objectSelector?: { matchLabels: Record<string, string> }
  reinvocationPolicy?: 'IfNeeded'
}

/** What a webhook is asked about. */
interface Resources {
  apiGroups: string[]
  apiVersions: string[]
  resources: string[]
}

/** ValidatingWebhookConfiguration or MutatingWebhookConfiguration. */
export interface WebhookConfiguration extends Manifest {
  webhooks: WebhookEntry[]
}

/** What a registration says besides what the webhook at its path knows itself. */
interface Registration {
  name: string
  path: string
  operations: string[]
  /** What differs from the kind that is reviewed at the path. */
  about?: Partial<Resources>
  /** What differs from most. */
  more?: Partial<WebhookEntry>
}

const BOTH = ['CREATE', 'UPDATE']
const CREATE = ['CREATE']
const UPDATE = ['UPDATE']

const EVICTION: Pick<Registration, 'path' | 'operations' | 'about'> = {
  path: '/pod-eviction-validate',
  operations: ['*'],
  about: { apiGroups: [''], apiVersions: ['v1'], resources: ['pods/eviction'] },
}

/** Contract: 7.1. */
const MUTATING: readonly Registration[] = [
  { name: 'virtualmachines-mutator.kubevirt.io', path: '/virtualmachines-mutate', operations: BOTH },
  {
    name: 'virtualmachineinstances-mutator.kubevirt.io',
    path: '/virtualmachineinstances-mutate',
    operations: BOTH,
  },
  { name: 'migrations-mutator.kubevirt.io', path: '/migration-mutate-create', operations: CREATE },
  { name: 'virtualmachineclones-mutator.kubevirt.io', path: '/vm-clone-mutate-create', operations: CREATE },
]

/** Contract: 7.1, M5; in an object of its own, as it is there only while a feature gate is on. */
const LAUNCHER: readonly Registration[] = [
  {
    name: 'virt-launcher-pod-mutator.kubevirt.io',
    path: '/virt-launcher-pod-mutate',
    operations: CREATE,
    about: { apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] },
    more: {
      failurePolicy: 'Ignore',
      objectSelector: { matchLabels: { 'kubevirt.io': 'virt-launcher' } },
      reinvocationPolicy: 'IfNeeded',
    },
  },
]

/** A guest that is admitted has room kept for it in the quotas of its namespace. */
const RESERVES = { sideEffects: 'NoneOnDryRun' } as const

/** Contract: 7.2. */
const VALIDATING: readonly Registration[] = [
  {
    name: 'virt-launcher-eviction-interceptor.kubevirt.io',
    ...EVICTION,
    more: {
      sideEffects: 'NoneOnDryRun',
      matchConditions: [{ name: 'only-vms', expression: "object.metadata.name.startsWith('virt-launcher')" }],
    },
  },
  {
    name: 'hotplug-pod-eviction-interceptor.kubevirt.io',
    ...EVICTION,
    more: {
      sideEffects: 'NoneOnDryRun',
      admissionReviewVersions: ['v1', 'v1beta1'],
      matchConditions: [
        { name: 'only-hotplug-pods', expression: "object.metadata.name.startsWith('hp-volume-')" },
      ],
    },
  },
  {
    name: 'virtualmachineinstances-create-validator.kubevirt.io',
    path: '/virtualmachineinstances-validate-create',
    operations: CREATE,
    more: RESERVES,
  },
  {
    name: 'virtualmachineinstances-update-validator.kubevirt.io',
    path: '/virtualmachineinstances-validate-update',
    operations: UPDATE,
    more: RESERVES,
  },
  { name: 'virtualmachine-validator.kubevirt.io', path: '/virtualmachines-validate', operations: BOTH },
  {
    name: 'virtualmachinereplicaset-validator.kubevirt.io',
    path: '/virtualmachinereplicaset-validate',
    operations: BOTH,
  },
  {
    name: 'virtualmachinepool-validator.kubevirt.io',
    path: '/virtualmachinepool-validate',
    operations: BOTH,
  },
  { name: 'virtualmachinepreset-validator.kubevirt.io', path: '/vmipreset-validate', operations: BOTH },
  { name: 'migration-create-validator.kubevirt.io', path: '/migration-validate-create', operations: CREATE },
  { name: 'migration-update-validator.kubevirt.io', path: '/migration-validate-update', operations: UPDATE },
  {
    name: 'virtualmachinesnapshot-validator.snapshot.kubevirt.io',
    path: '/virtualmachinesnapshots-validate',
    operations: BOTH,
  },
  {
    name: 'virtualmachinerestore-validator.snapshot.kubevirt.io',
    path: '/virtualmachinerestores-validate',
    operations: BOTH,
  },
  {
    name: 'virtualmachinebackup-validator.backup.kubevirt.io',
    path: '/virtualmachinebackups-validate',
    operations: BOTH,
  },
  {
    name: 'virtualmachinebackuptracker-validator.backup.kubevirt.io',
    path: '/virtualmachinebackuptrackers-validate',
    operations: BOTH,
  },
  {
    name: 'virtualmachineexport-validator.export.kubevirt.io',
    path: '/virtualmachineexports-validate',
    operations: BOTH,
  },
  {
    name: 'virtualmachineinstancetype-validator.instancetype.kubevirt.io',
    path: '/virtualmachineinstancetypes-validate',
    operations: BOTH,
  },
  {
    name: 'virtualmachineclusterinstancetype-validator.instancetype.kubevirt.io',
    path: '/virtualmachineclusterinstancetypes-validate',
    operations: BOTH,
  },
  {
    name: 'virtualmachinepreference-validator.instancetype.kubevirt.io',
    path: '/virtualmachinepreferences-validate',
    operations: BOTH,
  },
  {
    name: 'virtualmachineclusterpreference-validator.instancetype.kubevirt.io',
    path: '/virtualmachineclusterpreferences-validate',
    operations: BOTH,
  },
  {
    name: 'kubevirt-crd-status-validator.kubevirt.io',
    path: '/status-validate',
    operations: BOTH,
    about: {
      resources: [
        'virtualmachines/status',
        'virtualmachineinstancereplicasets/status',
        'virtualmachineinstancemigrations/status',
      ],
    },
  },
  {
    name: 'migration-policy-validator.kubevirt.io',
    path: '/migration-policy-validate-create',
    operations: BOTH,
  },
  { name: 'vm-clone-validator.kubevirt.io', path: '/vm-clone-validate-create', operations: BOTH },
  { name: 'plugin-validator.plugin.kubevirt.io', path: '/plugin-validate', operations: BOTH },
]

/** The mutating and the validating webhooks; those alone that are served. */
export function buildWebhookConfigurations(options: InstallOptions): WebhookConfiguration[] {
  return [
    configuration('MutatingWebhookConfiguration', 'virt-api-mutator', MUTATING, options),
    configuration('ValidatingWebhookConfiguration', 'virt-api-validator', VALIDATING, options),
  ]
}

/** The webhook for pods that run guests, for as long as the feature gate `ContainerPathVolumes` is on. */
export function buildLauncherPodMutator(options: InstallOptions): WebhookConfiguration {
  return configuration('MutatingWebhookConfiguration', 'virt-launcher-pod-mutator', LAUNCHER, options)
}

function configuration(
  kind: string,
  name: string,
  registrations: readonly Registration[],
  options: InstallOptions,
): WebhookConfiguration {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind,
    metadata: registrationMetadata(name, name),
    webhooks: registrations.flatMap((registration) => {
      const webhook = findWebhook(registration.path)
      // To register what nobody answers would make every such request fail.
      return webhook ? [entry(registration, webhook, options)] : []
    }),
  }
}

function entry(
  { name, path, operations, about, more }: Registration,
  { kind: { group, version, plural }, versions = [version] }: Webhook,
  { namespace, caBundle, webhookPort }: InstallOptions,
): WebhookEntry {
  const resources = { apiGroups: [group], apiVersions: [...versions], resources: [plural] }
  return {
    name,
    clientConfig: {
      service: { name: SERVICE_NAME, namespace, path, port: webhookPort },
      ...(caBundle !== undefined && { caBundle }),
    },
    rules: [{ operations: [...operations], ...resources, ...about }],
    failurePolicy: 'Fail',
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
    timeoutSeconds: 10,
    ...more,
  }
}
