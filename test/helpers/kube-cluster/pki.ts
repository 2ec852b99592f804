import { createPrivateKey } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createKey, type KeyPair } from '../../../certs/issue.ts'
import { makeAuthority, type TestAuthority } from '../pki.ts'

/** All certificates of a control plane; each pair is in `<name>.crt` and `<name>.key` of the folder. */
export interface ControlPlanePki {
  /** Signs what kube-apiserver shows, and client certificates of users. */
  ca: TestAuthority
  /** Signs what kube-apiserver shows to aggregated servers, and to nobody else. */
  frontProxyCa: TestAuthority
  /** What kube-apiserver shows to aggregated servers. */
  frontProxy: KeyPair
  file: (name: string) => string
}

/** The one common name that kube-apiserver's ConfigMap allows. */
export const FRONT_PROXY_NAME = 'front-proxy-client'

/** Makes them. `apiAddress`: the first address of the range of Services, which is kube-apiserver's own. */
export async function makeControlPlanePki(dir: string, apiAddress: string): Promise<ControlPlanePki> {
  const ca = await makeAuthority('kubernetes-ca')
  const frontProxyCa = await makeAuthority('front-proxy-ca')
  const file = (name: string) => join(dir, name)
  const keep = async (name: string, pair: KeyPair): Promise<KeyPair> => {
    await writeFile(file(`${name}.crt`), pair.cert)
    await writeFile(file(`${name}.key`), pair.key, { mode: 0o600 })
    return pair
  }
  await keep('ca', ca)
  await keep('front-proxy-ca', frontProxyCa)
  await keep(
    'apiserver',
    await ca.issue({
      usage: 'server',
      commonName: 'kube-apiserver',
      ipAddresses: ['127.0.0.1', apiAddress],
      dnsNames: ['localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc'],
    }),
  )
  const frontProxy = await keep(
    'front-proxy',
    await frontProxyCa.issue({ usage: 'client', commonName: FRONT_PROXY_NAME }),
  )
  const key = createPrivateKey(await createKey())
  // kube-apiserver reads no other form of such keys.
  await writeFile(file('service-accounts.key'), key.export({ type: 'sec1', format: 'pem' }), { mode: 0o600 })
  return { ca, frontProxyCa, frontProxy, file }
}
