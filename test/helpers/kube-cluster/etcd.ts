import { join } from 'node:path'
import { startDaemon, type Daemon } from './daemon.ts'
import { kubeProgram } from './binaries.ts'

/** A store of its own for one control plane. */
export interface Etcd extends AsyncDisposable {
  url: string
  daemon: Daemon
  /** Forgets all that was before now, as kube-apiserver does every five minutes. Answers the revision. */
  compact(): Promise<string>
}

/** Starts one in an empty folder. */
export function startEtcd(dir: string, [clients = 0, peers = 0]: readonly number[]): Etcd {
  const url = `http://127.0.0.1:${clients}`
  const peerUrl = `http://127.0.0.1:${peers}`
  const daemon = startDaemon(
    kubeProgram('etcd'),
    [
      `--data-dir=${join(dir, 'etcd')}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=default=${peerUrl}`,
      // The machine does not lose power during a test.
      '--unsafe-no-fsync',
      '--log-level=warn',
    ],
    join(dir, 'etcd.log'),
  )
  return {
    url,
    daemon,
    async compact() {
      const { header } = await ask(url, '/v3/kv/range', { key: Buffer.from('none').toString('base64') })
      await ask(url, '/v3/kv/compaction', { revision: header.revision, physical: true })
      return header.revision
    },
    [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
  }
}

/** Source: etcd's "gRPC gateway", which serves its protocol as JSON. */
async function ask(url: string, path: string, body: object): Promise<{ header: { revision: string } }> {
  const answer = await fetch(url + path, { method: 'POST', body: JSON.stringify(body) })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`etcd answered ${answer.status}: ${text}`)
  return JSON.parse(text) as { header: { revision: string } }
}
