import { join } from 'node:path'
import { kubeProgram } from './binaries.ts'
import { startDaemon, type Daemon } from './daemon.ts'
import { FRONT_PROXY_NAME, type ControlPlanePki } from './pki.ts'

/** Where a kube-apiserver is, and what it stands on. */
export interface ApiServerPlace {
  dir: string
  port: number
  etcdUrl: string
  serviceNet: string
  pki: ControlPlanePki
}

/** Starts one; it takes some seconds until it is ready. */
export function startKubeApiServer({ dir, port, etcdUrl, serviceNet, pki }: ApiServerPlace): Daemon {
  const { file } = pki
  return startDaemon(
    kubeProgram('kube-apiserver'),
    [
      `--etcd-servers=${etcdUrl}`,
      // Tests say themselves when history is forgotten.
      '--etcd-compaction-interval=0',
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      // Endpoints may not be loopback addresses.
      '--endpoint-reconciler-type=none',
      `--secure-port=${port}`,
      `--service-cluster-ip-range=${serviceNet}`,
      `--tls-cert-file=${file('apiserver.crt')}`,
      `--tls-private-key-file=${file('apiserver.key')}`,
      `--client-ca-file=${file('ca.crt')}`,
      `--requestheader-client-ca-file=${file('front-proxy-ca.crt')}`,
      `--requestheader-allowed-names=${FRONT_PROXY_NAME}`,
      '--requestheader-username-headers=X-Remote-User',
      '--requestheader-uid-headers=X-Remote-Uid',
      '--requestheader-group-headers=X-Remote-Group',
      '--requestheader-extra-headers-prefix=X-Remote-Extra-',
      `--proxy-client-cert-file=${file('front-proxy.crt')}`,
      `--proxy-client-key-file=${file('front-proxy.key')}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${file('service-accounts.key')}`,
      `--service-account-signing-key-file=${file('service-accounts.key')}`,
      '--authorization-mode=RBAC',
      // As in every cluster: workers may need it.
      '--allow-privileged=true',
      `--audit-policy-file=${file('audit-policy.yaml')}`,
      `--audit-log-path=${file('audit.log')}`,
      '--audit-log-mode=blocking',
      '--profiling=false',
    ],
    join(dir, 'kube-apiserver.log'),
  )
}

/** The controllers that tests can see the work of. */
const CONTROLLERS = [
  'namespace-controller',
  // New nodes are tainted until it has found them ready.
  'node-lifecycle-controller',
  'garbage-collector-controller',
  'serviceaccount-controller',
  'resourcequota-controller',
  'clusterrole-aggregation-controller',
  'root-ca-certificate-publisher-controller',
]

/** Starts kube-controller-manager. */
export function startControllerManager(dir: string, pki: ControlPlanePki, kubeconfig: string): Daemon {
  const { file } = pki
  return startDaemon(
    kubeProgram('kube-controller-manager'),
    [
      `--kubeconfig=${kubeconfig}`,
      `--controllers=${CONTROLLERS.join(',')}`,
      `--root-ca-file=${file('ca.crt')}`,
      `--service-account-private-key-file=${file('service-accounts.key')}`,
      '--leader-elect=false',
      '--bind-address=127.0.0.1',
      '--secure-port=0',
    ],
    join(dir, 'kube-controller-manager.log'),
  )
}
