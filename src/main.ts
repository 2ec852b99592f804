/** The virtgate command: picks a role or a command for people. */
import { Command, CommanderError } from 'commander'
import { ACTIONS } from './cli/actions.ts'
import { addAction } from './cli/commands/action.ts'
import { addConsole } from './cli/commands/console.ts'
import { addDoctor } from './cli/commands/doctor.ts'
import { addUnregister } from './cli/commands/unregister.ts'
import { addValidate } from './cli/commands/validate.ts'
import { addToken } from './cli/commands/token.ts'
import { addVnc } from './cli/commands/vnc.ts'
import type { CommandContext } from './cli/context.ts'
import { addRoles } from './roles/commands.ts'
import { readVersion } from './roles/version.ts'

function buildProgram(context: CommandContext): Command {
  const program = new Command('virtgate')
    .description('The KubeVirt API for any host with QEMU')
    .version(readVersion())
    .exitOverride()
    .showHelpAfterError('(add --help for what is possible)')
    .option('--kubeconfig <file>', 'which server to talk to (default: KUBECONFIG, then ~/.kube/config)')
    .option('--context <name>', 'context of the kubeconfig')
    .option('-n, --namespace <name>', "namespace (default: the context's)")
  addRoles(program, context.signal)
  program.commandsGroup('Commands for people, on any server:')
  for (const action of ACTIONS) addAction(program, action, context)
  addConsole(program, context)
  addVnc(program, context)
  addDoctor(program, context, async () => (await import('./auth/bootstrap/needs.ts')).accountNeeds())
  addUnregister(program, context)
  addToken(program, context)
  program.commandsGroup('Commands that need no server:')
  addValidate(program, context, async () => (await import('./embedded/schemas/open.ts')).openSchemas())
  return program
}

/** Aborts on the first Ctrl+C or SIGTERM; a second Ctrl+C ends the process at once. */
function signalOfProcess(): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(name, () => controller.abort(new Error(`ended by ${name}`)))
  }
  return controller.signal
}

/** What waits on a signal may answer with its own error instead of the signal's reason. */
function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError'
}

const signal = signalOfProcess()
try {
  const { stdin, stdout, stderr, env } = process
  await buildProgram({ stdin, stdout, stderr, env, signal }).parseAsync()
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode
  else {
    const isEnded = signal.aborted && (error === signal.reason || isAbort(error))
    if (!isEnded)
      process.stderr.write(`virtgate: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = signal.aborted ? 130 : 1
  }
}
