/**
 * Both authorities of an installation are replaced again and again behind a real kube-apiserver, under load: how many
 * requests fail, and how many consoles drop?
 */
import { parseArgs } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'
import { startLoad } from '../test/helpers/cluster-load.ts'
import { startControlPlane } from '../test/helpers/kube-cluster/control-plane.ts'
import { installSelfMade } from '../test/helpers/kube-cluster/self-made.ts'
import { awaitPhase, bootVm } from '../test/helpers/vms.ts'
import type { Secret } from '../src/kinds/core.ts'
import type { KubeClient } from '../src/kube/client.ts'
import { keyHash } from '../src/lib/pem.ts'
import { decodeSecret } from '../src/roles/certificates/secret-data.ts'

const PER_SECOND = 50
const CONSOLES = 20
const NAME = 'steady'
const POLICY = { 'cert-life': '1m', 'ca-overlap': '2m', 'ca-spread': '3s' }

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    every: { type: 'string', default: '30' },
  },
})
const [minutes, everySeconds] = [Number(values.minutes), Number(values.every)]

const { rows, failures } = await measure()
process.stdout.write('| what | number |\n| --- | ---: |\n')
for (const [what, number] of rows) process.stdout.write(`| ${what} | ${number} |\n`)
for (const failure of failures.slice(0, 20)) process.stdout.write(`${failure}\n`)
process.exitCode = failures.length === 0 ? 0 : 1

async function measure() {
  await using plane = await startControlPlane()
  await using virtgate = await installSelfMade(plane, 'node-a', POLICY)
  const { client } = plane.admin
  await bootVm(client, NAME)
  await awaitPhase(client, NAME, 'Running')
  const load = await startLoad(client, NAME, { perSecond: PER_SECOND, consoles: CONSOLES })
  await load.speak('before')
  const signers = new Set<string>()
  const end = Date.now() + minutes * 60_000
  while (Date.now() < end) {
    await virtgate.rotate()
    await sleep(Math.min(everySeconds * 1000, end - Date.now()))
    for (const signer of await signersNow(client)) signers.add(signer)
  }
  await load.speak('after')
  await load.stop()
  const failures = load.failures()
  const dropped = failures.filter((text) => text.includes(' console ')).length
  const rows: [string, number][] = [
    ['minutes', minutes],
    ['authorities that have signed', signers.size],
    ['requests answered', load.answered()],
    ['requests failed', failures.length - dropped],
    ['consoles open', CONSOLES],
    ['consoles dropped', dropped],
  ]
  return { rows, failures }
}

async function signersNow(client: KubeClient): Promise<string[]> {
  const names = ['virtgate-serving-ca', 'virtgate-internal-ca']
  const secrets = names.map((name) =>
    client.call<Secret>({ method: 'GET', path: `/api/v1/namespaces/kubevirt/secrets/${name}` }),
  )
  return (await Promise.all(secrets)).map((secret) => keyHash(decodeSecret(secret)['tls.crt'] ?? ''))
}
