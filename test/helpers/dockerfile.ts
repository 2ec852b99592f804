/** One instruction of a Dockerfile: its word, and all that follows on one line. */
export interface Instruction {
  word: string
  rest: string
}

/** What stands between one FROM and the next. */
export interface Stage {
  base: string
  name: string
  instructions: Instruction[]
}

/** Reads a Dockerfile: what stands before the first stage, and the stages. Throws for a stage without a name. */
export function parseDockerfile(text: string): { head: Instruction[]; stages: Stage[] } {
  const head: Instruction[] = []
  const stages: Stage[] = []
  for (const line of joinLines(text)) {
    const [, word = '', rest = ''] = /^\s*(\w+)\s+([\s\S]*)$/.exec(line) ?? []
    if (word === 'FROM') {
      const [, base, name] = /^(\S+) AS (\S+)$/.exec(rest) ?? []
      if (base === undefined || name === undefined) throw new Error(`FROM ${rest}: name the stage`)
      stages.push({ base, name, instructions: [] })
    } else (stages.at(-1)?.instructions ?? head).push({ word, rest })
  }
  return { head, stages }
}

function joinLines(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => !/^\s*#/.test(line))
    .join('\n')
    .replaceAll(/\\\n/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '')
}
