import type { Command } from 'commander'
import type { ActionCommand } from '../actions.ts'
import { connect, subresourcePath, type CommandContext, type ConnectOptions } from '../context.ts'

/** Adds an action such as `start` to the program. */
export function addAction(program: Command, action: ActionCommand, context: CommandContext): void {
  const command = program.command(`${action.name} <name>`).description(action.summary)
  for (const option of action.options) command.addOption(option)
  command.action(async (name: string, options: Record<string, unknown>, self: Command) => {
    const { client, namespace } = await connect(self.optsWithGlobals<ConnectOptions>(), context)
    await using _closed = client
    await client.call<void>({
      method: 'PUT',
      path: subresourcePath(action.resource, namespace, name, action.name),
      body: action.body(options),
      signal: context.signal,
    })
    const dry = options.dryRun ? ' (dry run)' : ''
    context.stdout.write(`${action.done(name)}${dry}\n`)
  })
}
