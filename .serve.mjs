import { openKubeApi } from './test/helpers/kube-api.ts'
import { makeAuthority, servingPair } from './test/helpers/pki.ts'
import { writeFileSync } from 'node:fs'
const ca = await makeAuthority(); const pair = await servingPair(ca)
const api = await openKubeApi({ tls: { ...pair, ca: ca.cert } })
api.app.addHook('onResponse', async (q, r) => console.log(q.method, q.url, r.statusCode, q.headers['accept'], '|', q.headers['content-type']))
await api.app.listen({ host: '127.0.0.1', port: 17443 })
writeFileSync('/tmp/kc.yaml', `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:17443", certificate-authority-data: ${Buffer.from(ca.cert).toString('base64')}}}]
users: [{name: u, user: {token: admin}}]
contexts: [{name: c, context: {cluster: c, user: u, namespace: default}}]
current-context: c
`)
console.log('ready')
process.on('SIGTERM', async () => { await api[Symbol.asyncDispose](); process.exit(0) })
