/**
 * A stand-in for socat where the host has no vsock: `VSOCK-CONNECT:CID:PORT` leads to the unix socket `CID-PORT` in the
 * directory that its first argument names. Says on stderr what socat says there.
 */
import { createConnection, Socket } from 'node:net'

const [dir, ...args] = process.argv.slice(2)
const [, cid = '', port = ''] = (args.at(-1) ?? '').split(':')
const socket = createConnection({ path: `${dir}/${cid}-${port}`, allowHalfOpen: true })
socket.on('connect', () => {
  process.stderr.write(
    '2026/01/01 00:00:00 socat[1] N starting data transfer loop with FDs [0,1] and [5,5]\n',
  )
  const other = new Socket({ fd: 3, allowHalfOpen: true })
  other.pipe(socket).pipe(other)
})
socket.on('error', () => {
  process.stderr.write(
    `2026/01/01 00:00:00 socat[1] E connect(5, AF=40 cid:${cid} port:${port}, 16): Connection reset by peer\n`,
  )
  process.exit(1)
})
socket.on('close', () => process.exit(0))
