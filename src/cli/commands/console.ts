import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { StatusError } from '../../lib/errors.ts'
import { dialStream, type KubeStream } from '../../kube/stream.ts'
import type { ClusterConfig } from '../../kube/config.ts'
import { connect, subresourcePath, type CommandContext, type ConnectOptions } from '../context.ts'
import { attachTerminal } from '../terminal.ts'

interface Options extends ConnectOptions {
  timeout: string
}

/** Adds `console`: the guest's serial console on this terminal. */
export function addConsole(program: Command, context: CommandContext): void {
  program
    .command('console <name>')
    .description("connect to a guest's serial console; Ctrl+] ends it")
    .option('--timeout <minutes>', 'how long to wait for the guest to run', '5')
    .action(async (name: string, _options: unknown, self: Command) => {
      const options = self.optsWithGlobals<Options>()
      const { client, namespace } = await connect(options, context)
      await using _closed = client
      const path = subresourcePath('virtualmachineinstances', namespace, name, 'console')
      const waitMs = Number(options.timeout) * 60_000
      if (!(waitMs >= 0)) throw new Error(`--timeout ${options.timeout}: not a number of minutes`)
      const stream = await dialWhenRunning(client.config, path, waitMs, context)
      context.stderr.write(`Connected to the console of ${name}. The escape sequence is ^]\n`)
      await attachTerminal(stream, context)
    })
}

/** A guest that does not run yet is answered 400; everything else is final. */
async function dialWhenRunning(
  config: ClusterConfig,
  path: string,
  waitMs: number,
  { signal, stderr }: CommandContext,
): Promise<KubeStream> {
  const deadline = Date.now() + waitMs
  for (let told = false; ; told = true) {
    try {
      return await dialStream(config, path, signal)
    } catch (error) {
      const notYet = error instanceof StatusError && error.code === 400
      if (!notYet || Date.now() >= deadline) throw error
      if (!told) stderr.write(`${error.message}; waiting …\n`)
      await sleep(1000, undefined, { signal })
    }
  }
}
