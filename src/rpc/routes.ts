import { badRequest } from '../lib/errors.ts'
import type { Actions, GuestRef, NodeUpdate } from './actions.ts'
import { checkSync } from './check.ts'
import * as options from './options.ts'
import type { Duplex } from 'node:stream'

/** One call that has arrived. */
export interface WireCall {
  /** Undecoded; empty where none was sent. */
  body: Buffer
  /** The guest that the path and the query name. */
  guest: GuestRef
  query: URLSearchParams
  signal: AbortSignal
}

/** What a path does. */
export type Route =
  | {
      kind: 'call'
      /** Changes what runs where: for a leader alone. */
      isFenced?: true
      run(actions: Actions, call: WireCall): Promise<unknown>
    }
  | { kind: 'watch'; run(actions: Actions, signal: AbortSignal): AsyncIterable<NodeUpdate> }
  | { kind: 'stream'; halfClose?: true; run(actions: Actions, call: WireCall): Promise<Duplex> }

type Run = (actions: Actions, call: WireCall) => Promise<unknown>
const call = (run: Run): Route => ({ kind: 'call', run })
const fenced = (run: Run): Route => ({ kind: 'call', isFenced: true, run })
const stream = (run: (actions: Actions, call: WireCall) => Promise<Duplex>): Route => ({
  kind: 'stream',
  run,
})

/**
 * Everything that crosses the wire: method and path → action. `{uid}` is the guest's; its namespace and name are in
 * the query.
 */
export const ROUTES: Readonly<Record<string, Route>> = {
  'GET /w/v1/info': call((actions, { signal }) => actions.info(signal)),
  'GET /w/v1/metrics': call((actions, { signal }) => actions.metrics(signal)),
  'GET /w/v1/watch': { kind: 'watch', run: (actions, signal) => actions.watch(signal) },
  'PUT /w/v1/vmis/{uid}': fenced((actions, { body, guest, signal }) =>
    actions.sync(checkSync(parseJson(body), guest.uid), signal),
  ),
  'GET /w/v1/vmis/{uid}': call((actions, { guest, signal }) => actions.report(guest, signal)),
  'DELETE /w/v1/vmis/{uid}': fenced((actions, { guest, query, signal }) =>
    actions.remove(guest, { graceSeconds: readSeconds(query.get('graceSeconds')) }, signal),
  ),
  'POST /w/v1/vmis/{uid}/pause': call((actions, { guest, signal }) => actions.pause(guest, signal)),
  'POST /w/v1/vmis/{uid}/unpause': call((actions, { guest, signal }) => actions.unpause(guest, signal)),
  'POST /w/v1/vmis/{uid}/softreboot': call((actions, { guest, signal }) => actions.softreboot(guest, signal)),
  'POST /w/v1/vmis/{uid}/reset': call((actions, { guest, signal }) => actions.reset(guest, signal)),
  'POST /w/v1/vmis/{uid}/freeze': call((actions, { guest, body, signal }) =>
    actions.freeze(guest, options.checkFreeze(parseJson(body)), signal),
  ),
  'POST /w/v1/vmis/{uid}/unfreeze': call((actions, { guest, signal }) => actions.unfreeze(guest, signal)),
  'GET /w/v1/vmis/{uid}/agent': call((actions, { guest, signal }) => actions.agentInfo(guest, signal)),
  'POST /w/v1/vmis/{uid}/screenshot': call(async (actions, { guest, body, signal }) => ({
    png: (await actions.screenshot(guest, options.checkScreenshot(parseJson(body)), signal)).toString(
      'base64',
    ),
  })),
  'GET /w/v1/vmis/{uid}/sev/platform': call((actions, { guest, signal }) =>
    actions.sevPlatform(guest, signal),
  ),
  'GET /w/v1/vmis/{uid}/sev/measurement': call((actions, { guest, signal }) =>
    actions.sevMeasurement(guest, signal),
  ),
  'POST /w/v1/vmis/{uid}/sev/secret': call((actions, { guest, body, signal }) =>
    actions.sevInjectSecret(guest, options.checkSevSecret(parseJson(body)), signal),
  ),
  'POST /w/v1/vmis/{uid}/backup': call((actions, { guest, body, signal }) =>
    actions.backup(guest, options.checkBackup(parseJson(body)), signal),
  ),
  'POST /w/v1/vmis/{uid}/checkpoint': call((actions, { guest, body, signal }) =>
    actions.redefineCheckpoint(guest, options.checkCheckpoint(parseJson(body)), signal),
  ),
  'GET /w/v1/vmis/{uid}/console': stream((actions, { guest, query, signal }) =>
    actions.console(guest, options.checkConsole(optionsOf(query)), signal),
  ),
  'GET /w/v1/vmis/{uid}/console/log': stream((actions, { guest, query, signal }) =>
    actions.consoleLog(guest, options.checkConsoleLog(optionsOf(query)), signal),
  ),
  'GET /w/v1/vmis/{uid}/vnc': stream((actions, { guest, query, signal }) =>
    actions.vnc(guest, options.checkVnc(optionsOf(query)), signal),
  ),
  'GET /w/v1/vmis/{uid}/usbredir': stream((actions, { guest, signal }) => actions.usbredir(guest, signal)),
  'GET /w/v1/vmis/{uid}/vsock': stream((actions, { guest, query, signal }) =>
    actions.vsock(guest, options.checkVsock(optionsOf(query)), signal),
  ),
  'GET /w/v1/vmis/{uid}/exec': stream((actions, { guest, query, signal }) =>
    actions.guestExec(guest, options.checkExec(optionsOf(query)), signal),
  ),
  'GET /w/v1/vmis/{uid}/portforward': {
    kind: 'stream',
    halfClose: true,
    run: (actions, { guest, query, signal }) =>
      actions.portForward(guest, options.checkPortForward(optionsOf(query)), signal),
  },
  'POST /w/v1/migrations/facts': call((actions, { body, signal }) =>
    actions.migrationFacts(options.checkMigrationRef(parseJson(body)), signal),
  ),
  'POST /w/v1/migrations/incoming': fenced((actions, { body, signal }) =>
    actions.prepareIncoming(options.checkIncoming(parseJson(body)), signal),
  ),
  'POST /w/v1/migrations/outgoing': fenced((actions, { body, signal }) =>
    actions.startOutgoing(options.checkOutgoing(parseJson(body)), signal),
  ),
  'POST /w/v1/migrations/cancel': fenced((actions, { body, signal }) =>
    actions.cancelMigration(options.checkMigrationRef(parseJson(body)), signal),
  ),
  'POST /w/v1/migrations/release': fenced((actions, { body, signal }) => {
    const { epoch, ...ref } = options.checkOwner(parseJson(body))
    return actions.releaseMigration(ref, epoch, signal)
  }),
  'POST /w/v1/migrations/reclaim': fenced((actions, { body, signal }) => {
    const { epoch, ...ref } = options.checkOwner(parseJson(body))
    return actions.reclaimMigration(ref, epoch, signal)
  }),
}

/** The route for a request and the guest it is for; `undefined` where there is none. */
export function findRoute(method: string, url: URL): { route: Route; guest: GuestRef } | undefined {
  const uid = /^\/w\/v1\/vmis\/([\w-]{1,128})(?=\/|$)/.exec(url.pathname)?.[1]
  const path = uid === undefined ? url.pathname : url.pathname.replace(`/vmis/${uid}`, '/vmis/{uid}')
  const key = `${method} ${path}`
  const route = Object.hasOwn(ROUTES, key) ? ROUTES[key] : undefined
  if (!route || path.includes('{uid}') !== (uid !== undefined)) return undefined
  const { searchParams: query } = url
  return {
    route,
    guest: { uid: uid ?? '', namespace: query.get('namespace') ?? '', name: query.get('name') ?? '' },
  }
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch (error) {
    throw badRequest(`the body is not JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** What goes with a stream stands in the query: an upgrade has no body. */
function optionsOf(query: URLSearchParams): unknown {
  return parseJson(Buffer.from(query.get('options') ?? '{}'))
}

function readSeconds(text: string | null): number {
  const seconds = Number(text ?? '')
  if (text === null || text === '' || !Number.isSafeInteger(seconds) || seconds < 0) {
    throw badRequest('graceSeconds must be a whole number, 0 or more')
  }
  return seconds
}
