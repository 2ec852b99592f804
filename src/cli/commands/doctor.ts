import { InvalidArgumentError, Option, type Command } from 'commander'
import type { KubeClient } from '../../kube/client.ts'
import { connect, type CommandContext, type ConnectOptions } from '../context.ts'
import type { Account } from '../doctor/check.ts'

interface Options extends ConnectOptions {
  installNamespace: string
  output: 'text' | 'json'
  timeout: number
}

const FOUND = 1
const UNUSABLE = 2

const HELP = `
Looks at the versions, the kinds, the aggregation layer, APIServices, certificates, webhooks, the rights of our accounts, the
KubeVirt object, the leader and the workers, and says what to do about what is wrong. Nothing is changed; VMs are created as a
dry run. What you may not look at is skipped. Works with virtgate up, too.

Exit codes:
  0  nothing is wrong; there may be warnings
  1  something is wrong
  2  the API cannot be reached, or the command line makes no sense
`

/** Adds `doctor`: looks at an installation. `loadAccounts` tells what our service accounts have to be allowed. */
export function addDoctor(
  program: Command,
  context: CommandContext,
  loadAccounts: () => Promise<readonly Account[]>,
): void {
  program
    .command('doctor')
    .description('look at an installation, and say what is wrong and what to do')
    .option('--install-namespace <name>', 'where the installation is', 'kubevirt')
    .option('--timeout <seconds>', 'how long each check may take', parseSeconds, 15)
    .addOption(new Option('-o, --output <format>', 'how to tell').choices(['text', 'json']).default('text'))
    .addHelpText('after', HELP)
    .exitOverride((error) => {
      throw Object.assign(error, { exitCode: error.exitCode === 0 ? 0 : UNUSABLE })
    })
    .action(async (_options: unknown, self: Command) => {
      const options = self.optsWithGlobals<Options>()
      process.exitCode = await examine(options, context, loadAccounts).catch((error: unknown) => {
        context.signal.throwIfAborted()
        context.stderr.write(`virtgate: ${error instanceof Error ? error.message : String(error)}\n`)
        return UNUSABLE
      })
    })
}

async function examine(
  options: Options,
  context: CommandContext,
  accounts: () => Promise<readonly Account[]>,
): Promise<number> {
  const [{ CHECKS }, { runChecks }, { shownCertificate }, print] = await Promise.all([
    import('../doctor/index.ts'),
    import('../doctor/run.ts'),
    import('../doctor/shown-certificate.ts'),
    import('../doctor/print.ts'),
  ])
  const { client } = await connect(options, context)
  await using _closed = client
  const limitMs = options.timeout * 1000
  const doctor = {
    client,
    namespace: options.installNamespace,
    isEmbedded: await isEmbedded(client, AbortSignal.any([context.signal, AbortSignal.timeout(limitMs)])),
    accounts,
    shownCertificate,
    now: Date.now,
    signal: context.signal,
  }
  const results = await runChecks(CHECKS, doctor, limitMs)
  context.stdout.write(options.output === 'json' ? print.formatJson(results) : print.formatText(results))
  return print.count(results, 'error') > 0 ? FOUND : 0
}

/** Whether the server is `virtgate up`, to which no other API server can be added. */
async function isEmbedded(client: KubeClient, signal: AbortSignal): Promise<boolean> {
  const found = await client.call<{ groups: { name: string }[] }>({ method: 'GET', path: '/apis', signal })
  return !found.groups.some(({ name }) => name === 'apiregistration.k8s.io')
}

function parseSeconds(text: string): number {
  const seconds = Number(text)
  if (!(seconds > 0 && seconds <= 3600))
    throw new InvalidArgumentError('not a number of seconds, 3600 at most')
  return seconds
}
