/** What makes kube-apiserver call others, as far as we look into it. */
import type { KubeObject } from './meta.ts'

/** `apiregistration.k8s.io/v1` APIService. */
export interface ApiService extends KubeObject {
  spec?: { caBundle?: string }
}

/** `admissionregistration.k8s.io/v1` MutatingWebhookConfiguration and ValidatingWebhookConfiguration. */
export interface WebhookConfiguration extends KubeObject {
  webhooks?: { name: string; clientConfig: { caBundle?: string; url?: string } }[]
}
