import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { dialStream } from '../../src/kube/stream.ts'
import { requireQemu } from '../helpers/guest.ts'
import { decodePng } from '../helpers/png.ts'
import { readFrame } from '../helpers/rfb.ts'
import { eventually, startServer, type TestServer } from '../helpers/server.ts'
import { awaitPhase, helloVm, openConsole, paths, type TestConsole } from '../helpers/vms.ts'
import { request } from '../helpers/raw-request.ts'

requireQemu()('the streams of a real guest, behind an embedded server', () => {
  const name = 'streamy'
  const { vms, onVm, onVmi, vmi: vmiPath } = paths(name)
  let server: TestServer
  let console: TestConsole

  beforeAll(async () => {
    server = await startServer()
    const { client } = server
    const vm = helloVm(name)
    const { devices } = vm.spec.template.spec.domain
    Object.assign(devices, { clientPassthrough: {} })
    await client.call({ method: 'POST', path: vms, body: vm })
    await client.call({ method: 'PUT', path: onVm('start'), body: {} })
    await awaitPhase(client, name, 'Running')
    console = await openConsole(client, name)
    await console.sees(/GUEST-READY/)
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
  })

  const dial = (path: string) => dialStream(server.client.config, onVmi(path))
  const refusal = (path: string) => dial(path).catch((error: unknown) => error)
  const get = (path: string) => request(server.client.config, onVmi(path))

  test('one types, others look on; who takes over is written down with whom it was taken from', async () => {
    const viewer = await dial('console?mode=view')
    let seen = ''
    viewer.duplex.on('data', (bytes: Buffer) => (seen += bytes.toString('latin1')))
    viewer.duplex.write('echo not-typed\n')
    console.type('echo typed=$((1+1))')
    await console.sees(/typed=2/)
    await eventually('the viewer sees it', 5000, async () => seen.includes('typed=2'))
    expect(seen).not.toContain('not-typed')
    expect(await refusal('console?preserveSession=true')).toMatchObject({ code: 409, reason: 'Conflict' })
    expect(await refusal('console?mode=read')).toMatchObject({ code: 400 })
    const older = await dial('console')
    const newer = await dial('console')
    expect(await older.ended).toMatchObject({ code: 4001 })
    newer.duplex.destroy()
    expect(viewer.duplex.destroyed).toBe(false)
    viewer.duplex.destroy()
    console = await openConsole(server.client, name)
    const vmi = await server.client.call<{ metadata: { uid: string } }>({ method: 'GET', path: vmiPath })
    await eventually('an Event names both', 10_000, async () => {
      const path = `/api/v1/namespaces/default/events`
      const { items } = await server.client.call<{
        items: { reason: string; message: string; involvedObject: { uid: string } }[]
      }>({ method: 'GET', path })
      return items.some(
        ({ reason, message, involvedObject }) =>
          involvedObject.uid === vmi.metadata.uid &&
          reason === 'SessionTakenOver' &&
          / took the console over from \S/.test(message),
      )
    })
  })

  test('the log of the console is what it has printed, and can be followed', async () => {
    const all = await get('console/log')
    expect(all.status).toBe(200)
    expect(all.headers['content-type']).toBe('text/plain; charset=utf-8')
    expect(all.body.toString('latin1')).toMatch(/Linux version[^]*GUEST-READY/)
    console.type('echo marker=$((20+3))')
    await console.sees(/marker=23/)
    const tail = (await get('console/log?tailLines=4')).body.toString('latin1')
    expect(tail).toContain('marker=23')
    expect(tail.split('\n').length).toBeLessThanOrEqual(5)
    const timed = (await get('console/log?tailLines=3&timestamps=true')).body.toString('latin1')
    expect(timed).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z /)
    const [time = ''] = timed.split(' ')
    expect(Math.abs(Date.now() - Date.parse(time))).toBeLessThan(60_000)
    expect(
      (await get(`console/log?sinceTime=${new Date(Date.now() + 60_000).toISOString()}`)).body.length,
    ).toBe(0)
    expect((await get('console/log?limitBytes=10')).body).toHaveLength(10)
    expect((await get('console/log?tailLines=x')).status).toBe(400)
  })

  test('the display is RFB without a password and sends what it shows; so does the screenshot', async () => {
    const { duplex } = await dial('vnc')
    const frame = await readFrame(duplex)
    expect(frame.version).toBe('RFB 003.008\n')
    expect(frame.width * frame.height).toBeGreaterThan(100_000)
    expect(frame.colours).toBeGreaterThan(1)
    expect(await refusal('vnc?preserveSession=true')).toMatchObject({ code: 409 })
    const shot = await get('vnc/screenshot?moveCursor=true')
    expect(shot.status).toBe(200)
    expect(shot.headers['content-type']).toBe('image/png')
    expect(shot.headers['cache-control']).toContain('no-store')
    const image = decodePng(shot.body)
    expect([image.width, image.height]).toEqual([frame.width, frame.height])
    expect(image.colours.size).toBeGreaterThan(1)
    duplex.destroy()
  })

  test('four clients bring USB devices at a time, and QEMU speaks usbredir to each', async () => {
    const hello = async (duplex: Duplex): Promise<Buffer> => (await once(duplex, 'data'))[0]
    const sessions = await Promise.all([0, 1, 2, 3].map(() => dial('usbredir')))
    // Source: usbredir protocol, `usb_redir_hello` is packet type 0 and names the program.
    for (const { duplex } of sessions) expect((await hello(duplex)).toString('latin1')).toContain('qemu')
    expect(await refusal('usbredir')).toMatchObject({ code: 503 })
    const first = sessions[0]!
    first.duplex.destroy()
    await first.ended
    const again = await eventually('the slot is free', 5000, async () =>
      dial('usbredir').catch(() => undefined),
    )
    expect((await hello(again.duplex)).toString('latin1')).toContain('qemu')
    for (const { duplex } of [...sessions, again]) duplex.destroy()
  })

  test('a guest that has ended keeps its log while it is there', async () => {
    const following = get('console/log?follow=true&tailLines=50')
    console.type('echo last-words; poweroff -f')
    expect((await following).body.toString('latin1')).toContain('last-words')
    await awaitPhase(server.client, name, 'Succeeded', 'Failed')
    expect((await get('console/log?tailLines=50')).body.toString('latin1')).toContain('last-words')
    expect(await refusal('console')).toMatchObject({ code: 400 })
    expect((await get('vnc/screenshot')).status).toBe(409)
  })
})
