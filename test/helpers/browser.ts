import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, extname, join } from 'node:path'
import { connect } from 'node:tls'
import { chromium, type Page } from 'playwright-core'
import { describe } from 'vitest'

const CHROMIUM = '/usr/bin/chromium'
const ARGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
/** noVNC as it comes from its makers; the package exports `core/rfb.js`. */
const NOVNC = dirname(dirname(createRequire(import.meta.url).resolve('@novnc/novnc')))
const TYPES: Record<string, string> = { '.js': 'text/javascript', '.html': 'text/html' }

/** What is given, or where there is no browser what skips, after saying so. */
export function requireBrowser(
  given: typeof describe | typeof describe.skip,
): typeof describe | typeof describe.skip {
  if (existsSync(CHROMIUM)) return given
  process.stderr.write(
    `SKIPPING TESTS IN A BROWSER: there is no ${CHROMIUM}. Install the package chromium.\n`,
  )
  return describe.skip
}

/** A page that runs noVNC, and where it comes from. */
export interface PageServer extends AsyncDisposable {
  origin: string
}

/** Serves an HTML page and noVNC below `/novnc`, on an origin of its own. */
export async function servePage(html: string): Promise<PageServer> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://page')
    const content =
      pathname === '/' ? Promise.resolve(html) : readFile(join(NOVNC, pathname.slice('/novnc'.length)))
    content.then(
      (body) => {
        response.setHeader('content-type', TYPES[extname(pathname) || '.html'] ?? 'application/octet-stream')
        response.end(body)
      },
      () => response.writeHead(404).end(),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('not listening')
  return {
    origin: `http://127.0.0.1:${address.port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** A browser with nothing in it. */
export interface TestBrowser extends AsyncDisposable {
  open(url: string): Promise<Page>
}

/** Starts Chromium, which trusts the certificate of the server at `url` and no other that is self-made. */
export async function openBrowser(url: string): Promise<TestBrowser> {
  const profile = await mkdtemp(join(tmpdir(), 'virtgate-browser-'))
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM,
    args: [...ARGS, `--ignore-certificate-errors-spki-list=${await keyHashOf(url)}`],
  })
  return {
    async open(page) {
      const opened = await context.newPage()
      await opened.goto(page)
      return opened
    },
    async [Symbol.asyncDispose]() {
      await context.close()
      await rm(profile, { recursive: true, force: true })
    },
  }
}

/** Hash of the public key that a server shows, as Chromium takes it. */
async function keyHashOf(url: string): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const key = socket.getPeerX509Certificate()?.publicKey.export({ type: 'spki', format: 'der' })
  socket.destroy()
  if (!key) throw new Error(`${url} shows no certificate`)
  return createHash('sha256').update(key).digest('base64')
}
