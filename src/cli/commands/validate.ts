import { Option, type Command } from 'commander'
import { KINDS } from '../../kinds/table.ts'
import type { CommandContext } from '../context.ts'
import type { Shapes } from '../validate/judge.ts'
import type { Report } from '../validate/outcome.ts'

interface Options {
  cluster: string[]
  architecture: string
  output: 'text' | 'json'
  strict?: boolean
  recursive?: boolean
  namespace?: string
}

const FOUND = 1
const UNUSABLE = 2

const HELP = `
Checks what a cluster would check: fields and their types, then the rules of the admission webhooks.
FILE is YAML or JSON with any number of objects and lists, a folder (its .yaml, .yml and .json files), or - for
standard input. All objects count as those of the cluster, for each other: a KubeVirt object says feature gates and
settings, VMs find their instance types and preferences.

Exit codes:
  0  nothing is wrong
  1  an object is invalid; with --strict also: has warnings, is undecided, is of an unknown kind
  2  a file cannot be read, or the command line makes no sense
`

/** Adds `validate`: what a cluster would say about objects in files, without a cluster. `openShapes` reads the schemas. */
export function addValidate(
  program: Command,
  context: CommandContext,
  openShapes: () => Promise<Shapes>,
): void {
  program
    .command('validate <file...>')
    .description('check manifests as a cluster would, for CI pipelines; no server is asked')
    .option(
      '--cluster <file>',
      'objects that count as those of the cluster and are not checked; may be repeated',
      (value: string, others: string[]) => [...others, value],
      [],
    )
    .addOption(
      new Option('--architecture <name>', 'of guests that name none')
        .choices(['amd64', 'arm64', 's390x'])
        .default('amd64'),
    )
    .addOption(new Option('-o, --output <format>', 'how to tell').choices(['text', 'json']).default('text'))
    .option('-R, --recursive', 'folders with all below them')
    .option('--strict', 'count warnings, and what could not be checked')
    .addHelpText('after', HELP)
    .exitOverride((error) => {
      throw Object.assign(error, { exitCode: error.exitCode === 0 ? 0 : UNUSABLE })
    })
    .action(async (files: string[], _options: unknown, self: Command) => {
      const options = self.optsWithGlobals<Options>()
      process.exitCode = await validate(files, options, context, openShapes).catch((error: unknown) => {
        context.stderr.write(`virtgate: ${error instanceof Error ? error.message : String(error)}\n`)
        return UNUSABLE
      })
    })
}

async function validate(
  files: readonly string[],
  options: Options,
  { stdin, stdout }: CommandContext,
  openShapes: () => Promise<Shapes>,
): Promise<number> {
  // The rules are much to load: other commands do without.
  const [{ judgeObject }, { readSettings, setNamespaces }, { readObjects }, print, shapes] =
    await Promise.all([
      import('../validate/judge.ts'),
      import('../validate/cluster.ts'),
      import('../validate/files.ts'),
      import('../validate/print.ts'),
      openShapes(),
    ])
  const reading = { stdin, recursive: options.recursive ?? false }
  const { objects, unreadable } = await readObjects(files, reading)
  const others = await readObjects(options.cluster, reading)
  const cluster = [...objects, ...others.objects]
  setNamespaces(cluster, KINDS, options.namespace ?? 'default')
  const judging = { config: readSettings(cluster, options.architecture), shapes, cluster }
  const outcomes = await Promise.all(objects.map((found) => judgeObject(found, judging)))
  const report: Report = { objects: outcomes, unreadable: [...unreadable, ...others.unreadable] }
  stdout.write(options.output === 'json' ? print.formatJson(report) : print.formatText(report))
  return exitCodeOf(report, options.strict ?? false)
}

function exitCodeOf({ objects, unreadable }: Report, isStrict: boolean): number {
  if (unreadable.length > 0) return UNUSABLE
  const isWrong = objects.some(
    ({ result, warnings }) =>
      result === 'invalid' || (isStrict && (result !== 'valid' || warnings.length > 0)),
  )
  return isWrong ? FOUND : 0
}
