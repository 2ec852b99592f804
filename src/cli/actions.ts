/** The actions on VMs and VMIs that answer with nothing but success. */
import { InvalidArgumentError, Option } from 'commander'

/** An action of the subresource API as a command. */
export interface ActionCommand {
  name: string
  summary: string
  resource: 'virtualmachines' | 'virtualmachineinstances'
  options: Option[]
  /** The request body for the options given. */
  body(options: Record<string, unknown>): Record<string, unknown>
  /** What to say on success. */
  done(name: string): string
}

function seconds(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('not a whole number of seconds, 0 or more')
  return Number(text)
}

const dryRun = () => new Option('--dry-run', 'check everything and change nothing')
const gracePeriod = () =>
  new Option(
    '--grace-period <seconds>',
    'how long the guest may take to shut down; 0 pulls the plug',
  ).argParser(seconds)

function dryRunBody({ dryRun: dry }: Record<string, unknown>): Record<string, unknown> {
  return dry ? { dryRun: ['All'] } : {}
}

/** All of them, in the order the help lists them. */
export const ACTIONS: readonly ActionCommand[] = [
  {
    name: 'start',
    summary: 'start a virtual machine',
    resource: 'virtualmachines',
    options: [new Option('--paused', 'leave its virtual CPUs halted'), dryRun()],
    body: (options) => ({ ...(options.paused ? { paused: true } : {}), ...dryRunBody(options) }),
    done: (name) => `VM ${name} was scheduled to start`,
  },
  {
    name: 'stop',
    summary: 'shut a virtual machine down',
    resource: 'virtualmachines',
    options: [gracePeriod(), dryRun()],
    body: (options) => ({
      ...(options.gracePeriod !== undefined && { gracePeriod: options.gracePeriod }),
      ...dryRunBody(options),
    }),
    done: (name) => `VM ${name} was scheduled to stop`,
  },
  {
    name: 'restart',
    summary: 'stop a virtual machine and start it again',
    resource: 'virtualmachines',
    options: [new Option('--force', 'do not wait for the guest'), dryRun()],
    body: (options) => ({ ...(options.force ? { gracePeriodSeconds: 0 } : {}), ...dryRunBody(options) }),
    done: (name) => `VM ${name} was scheduled to restart`,
  },
  {
    name: 'pause',
    summary: "halt a running guest's virtual CPUs",
    resource: 'virtualmachineinstances',
    options: [dryRun()],
    body: dryRunBody,
    done: (name) => `VMI ${name} is paused`,
  },
  {
    name: 'unpause',
    summary: "let a paused guest's virtual CPUs run again",
    resource: 'virtualmachineinstances',
    options: [dryRun()],
    body: dryRunBody,
    done: (name) => `VMI ${name} is running again`,
  },
]
