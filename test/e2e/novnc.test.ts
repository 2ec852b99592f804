/** noVNC, unmodified, in a browser: what a web page needs to show the screen of a guest. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ConsoleMessage, Page } from 'playwright-core'
import {
  openBrowser,
  requireBrowser,
  servePage,
  type PageServer,
  type TestBrowser,
} from '../helpers/browser.ts'
import { requireQemu } from '../helpers/guest.ts'
import { decodePng } from '../helpers/png.ts'
import { request } from '../helpers/raw-request.ts'
import { eventually, startServer, type TestServer } from '../helpers/server.ts'
import { awaitPhase, bootVm, openConsole, paths } from '../helpers/vms.ts'

/** Connects, and keeps what becomes of it. Why there is a request before is said in docs/console-and-display.md. */
const PAGE = `<!doctype html><title>test</title><body><script type="module">
import RFB from '/novnc/core/rfb.js'
window.ask = (url) => fetch(new URL('/healthz', url.replace(/^ws/, 'http')), { mode: 'no-cors' })
window.show = async (url, wsProtocols) => {
  window.state = 'connecting'
  await ask(url)
  document.querySelector('#screen')?.remove()
  const screen = document.createElement('div')
  screen.id = 'screen'
  screen.style = 'width: 900px; height: 700px'
  document.body.append(screen)
  window.rfb = new RFB(screen, url, { wsProtocols })
  window.rfb.addEventListener('connect', () => { window.state = 'connected' })
  window.rfb.addEventListener('disconnect', ({ detail }) => {
    window.state = window.state === 'connecting' ? 'refused' : detail.clean ? 'closed' : 'broken'
  })
}
window.look = () => {
  const canvas = document.querySelector('#screen canvas')
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
  const colours = new Set(new Uint32Array(data.buffer))
  return { width: canvas.width, height: canvas.height, colours: colours.size }
}
window.isReady = true
</script>`

/** What a page sees of the screen. */
interface Look {
  width: number
  height: number
  colours: number
}

const PLAIN = 'plain.kubevirt.io'

requireBrowser(requireQemu())('noVNC in a browser, behind an embedded server', () => {
  const name = 'screen'
  let server: TestServer
  let browser: TestBrowser
  let allowed: PageServer
  let other: PageServer

  beforeAll(async () => {
    allowed = await servePage(PAGE)
    other = await servePage(PAGE)
    server = await startServer({ args: ['--allow-origin', allowed.origin] })
    await bootVm(server.client, name, { graceSeconds: 0 })
    await awaitPhase(server.client, name, 'Running')
    const console = await openConsole(server.client, name)
    await console.sees(/GUEST-READY/)
    console.close()
    browser = await openBrowser(server.client.config.server)
  })
  afterAll(async () => {
    await browser?.[Symbol.asyncDispose]()
    await server?.[Symbol.asyncDispose]()
    await allowed?.[Symbol.asyncDispose]()
    await other?.[Symbol.asyncDispose]()
  })

  const urlOf = (query = ''): string =>
    server.client.config.server.replace(/^http/, 'ws') + paths(name).onVmi('vnc') + query

  async function ticketUrl(): Promise<string> {
    const path = paths(name).onVmi('vnc/ticket')
    const { status } = await server.client.call<{ status: { ticket: string } }>({ method: 'POST', path })
    return urlOf(`?ticket=${encodeURIComponent(status.ticket)}`)
  }

  /** Has the page connect; answers `connected`, or the status that it was refused with. */
  async function connect(page: Page, url: string, ...protocols: string[]): Promise<string> {
    const said: string[] = []
    const listen = (message: ConsoleMessage): void => void said.push(message.text())
    page.on('console', listen)
    await page.waitForFunction('window.isReady')
    await page.evaluate(`show(${JSON.stringify(url)}, ${JSON.stringify(protocols)})`)
    await page.waitForFunction(`state !== 'connecting'`)
    const state = await page.evaluate<string>('state')
    page.off('console', listen)
    return state === 'connected' ? state : statusIn(said.join(' | '))
  }

  async function draws(page: Page): Promise<void> {
    const shot = await request(server.client.config, paths(name).onVmi('vnc/screenshot'))
    const { width, height } = decodePng(shot.body)
    await eventually('the page shows more than one colour', 20_000, async () => {
      const look = await page.evaluate<Look>('look()')
      return look.width === width && look.height === height && look.colours > 1
    })
  }

  test('a page of an allowed origin draws the screen with a ticket, which is good once', async () => {
    const page = await browser.open(allowed.origin)
    const url = await ticketUrl()
    expect(await connect(page, url, PLAIN)).toBe('connected')
    await draws(page)
    await page.evaluate('rfb.disconnect()')
    await page.waitForFunction(`state === 'closed'`)
    expect(await connect(page, url, PLAIN)).toBe('401')
    expect(await connect(page, await ticketUrl(), PLAIN)).toBe('connected')
    await page.close()
  })

  test('a new browser opens a WebSocket once it has asked for anything else', async () => {
    await using fresh = await openBrowser(server.client.config.server)
    const page = await fresh.open(allowed.origin)
    await page.waitForFunction('window.isReady')
    const url = JSON.stringify(await ticketUrl())
    const opening = `new Promise((resolve) => {
      const socket = new WebSocket(${url}, ['${PLAIN}'])
      socket.onopen = () => resolve('open')
      socket.onclose = ({ code }) => resolve(code)
    })`
    // The server has not heard of it: the ticket is still good.
    expect(await page.evaluate(opening)).toBe(1006)
    await page.evaluate(`ask(${url})`)
    expect(await page.evaluate(opening)).toBe('open')
  })

  test('a page of another origin opens nothing, ticket or not', async () => {
    const page = await browser.open(other.origin)
    expect(await connect(page, await ticketUrl(), PLAIN)).toBe('403')
    expect(await connect(page, urlOf(), bearer(await tokenFor('stranger')), PLAIN)).toBe('403')
    await page.close()
  })

  test('a page shows the token of a service account as a subprotocol, and draws the screen', async () => {
    const page = await browser.open(allowed.origin)
    const token = await tokenFor('viewer')
    expect(await connect(page, urlOf(), bearer(`${token}x`), PLAIN)).toBe('401')
    expect(await connect(page, urlOf(), bearer(token), PLAIN)).toBe('connected')
    await draws(page)
    await page.close()
  })

  test('who has no right to the display is refused with a token as well', async () => {
    const page = await browser.open(allowed.origin)
    const token = await tokenFor('nobody', [])
    expect(await connect(page, urlOf(), bearer(token), PLAIN)).toBe('403')
    await page.close()
  })

  /** A token of a new service account that may open displays and do no more. */
  async function tokenFor(account: string, verbs = ['get']): Promise<string> {
    const { client } = server
    const core = '/api/v1/namespaces/default/serviceaccounts'
    const rbac = '/apis/rbac.authorization.k8s.io/v1/namespaces/default'
    await client.call({ method: 'POST', path: core, body: { metadata: { name: account } } })
    const rules = [
      { apiGroups: ['subresources.kubevirt.io'], resources: ['virtualmachineinstances/vnc'], verbs },
    ]
    if (verbs.length > 0) {
      await client.call({
        method: 'POST',
        path: `${rbac}/roles`,
        body: { metadata: { name: account }, rules },
      })
      const body = {
        metadata: { name: account },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: account },
        subjects: [{ kind: 'ServiceAccount', name: account, namespace: 'default' }],
      }
      await client.call({ method: 'POST', path: `${rbac}/rolebindings`, body })
    }
    const { status } = await client.call<{ status: { token: string } }>({
      method: 'POST',
      path: `${core}/${account}/token`,
      body: { spec: {} },
    })
    return status.token
  }
})

/** The status that Chromium says a handshake was answered with. */
function statusIn(text: string): string {
  if (text.includes('HTTP Authentication failed')) return '401'
  return /Unexpected response code: (\d+)/.exec(text)?.[1] ?? text
}

function bearer(token: string): string {
  return `base64url.bearer.authorization.k8s.io.${Buffer.from(token).toString('base64url')}`
}
