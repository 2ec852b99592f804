import { Option, type Command } from 'commander'
import { INSTALL_NAMESPACE } from '../../kinds/installation.ts'
import { parseGoDuration } from '../../lib/go-duration.ts'
import { connect, type CommandContext, type ConnectOptions } from '../context.ts'
import { createToken } from '../tokens/create.ts'
import { listTokens } from '../tokens/list.ts'
import { revokeTokens } from '../tokens/revoke.ts'
import type { Installation } from '../tokens/secret.ts'

interface TokenOptions extends ConnectOptions {
  installNamespace: string
}

interface CreateOptions extends TokenOptions {
  node?: string
  ttl?: number
}

interface ListOptions extends TokenOptions {
  output: 'text' | 'json'
}

/** Adds `token create`, which lets a worker enrol, `token list` and `token revoke`. */
export function addToken(program: Command, context: CommandContext): void {
  const token = program.command('token').description('tokens with which workers join an installation')
  const add = (usage: string, description: string) =>
    token
      .command(usage)
      .description(description)
      .option('--install-namespace <name>', 'where the installation is', INSTALL_NAMESPACE)
  add('create', 'make a token with which one worker enrols, once; it is printed and kept nowhere')
    .option('--node <name>', 'the node it is for; without it, any that has no worker yet')
    .option('--ttl <duration>', 'how long it is good, such as 30m (default: 1h)', seconds)
    .action(async (_options: object, self: Command) => {
      const { node, ttl = 3600, ...options } = self.optsWithGlobals<CreateOptions>()
      const made = await within(options, context, (installation) =>
        createToken(installation, { node, ttlSeconds: ttl }),
      )
      context.stdout.write(`${made}\n`)
    })
  add(
    'list',
    'say which tokens there are, and what has become of each; nobody could enrol with what is shown',
  )
    .addOption(new Option('-o, --output <format>', 'how to tell').choices(['text', 'json']).default('text'))
    .action(async (_options: object, self: Command) => {
      const { output, ...options } = self.optsWithGlobals<ListOptions>()
      context.stdout.write(await within(options, context, (installation) => listTokens(installation, output)))
    })
  add(
    'revoke <token...>',
    'take tokens away, so that nobody enrols with them: by ID, or as they were printed',
  ).action(async (tokens: string[], _options: object, self: Command) => {
    const options = self.optsWithGlobals<TokenOptions>()
    context.stdout.write(await within(options, context, (installation) => revokeTokens(installation, tokens)))
  })
}

async function within<T>(
  { installNamespace: namespace, ...options }: TokenOptions,
  context: CommandContext,
  run: (installation: Installation) => Promise<T>,
): Promise<T> {
  const { client } = await connect(options, context)
  await using _closed = client
  return await run({ client, namespace, signal: context.signal })
}

function seconds(text: string): number {
  const value = parseGoDuration(text)
  if (value <= 0) throw new RangeError(`${text} is no duration above nothing`)
  return value
}
