/** The database file cannot be used, or refused a read or write. The message says which file and what to do. */
export class DatabaseFailure extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'DatabaseFailure'
  }
}

/** Result codes of SQLite's C interface. */
const BUSY = 5
const READONLY = 8
const IOERR = 10
const CORRUPT = 11
const FULL = 13
const CANTOPEN = 14
const NOTADB = 26

const ADVICE: Record<number, string> = {
  [BUSY]: 'another process has it open: stop that one first, or use another data directory',
  [READONLY]: 'it cannot be written: check who owns it and the mount it lies on',
  [IOERR]: 'the disk reports an error: check the disk and the system log',
  [CORRUPT]: 'it is damaged: put back a copy of it, or move it away to start with an empty one',
  [FULL]: 'the disk is full: free some space; nothing of this write was kept',
  [CANTOPEN]: 'it cannot be opened: check that its directory exists and may be written',
  [NOTADB]: 'it is no database: put back a copy of it, or move it away to start with an empty one',
}

function resultCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number')
    return undefined
  // The low byte is the primary code; the rest tells variants apart.
  return error.errcode & 0xff
}

/** Whether SQLite itself refused. */
export function isSqliteError(error: unknown): boolean {
  return resultCode(error) !== undefined
}

/** SQLite's code for what the file system has refused before SQLite was asked. */
const CODES: Record<string, number> = {
  EACCES: READONLY,
  EPERM: READONLY,
  EROFS: READONLY,
  EIO: IOERR,
  ENOSPC: FULL,
  ENOENT: CANTOPEN,
  ENOTDIR: CANTOPEN,
  EISDIR: CANTOPEN,
}

function fileSystemCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined
  return CODES[error.code]
}

/** What a refusal of SQLite or of the file system means for the file. */
export function explainFailure(file: string, error: unknown): DatabaseFailure {
  const code = resultCode(error) ?? fileSystemCode(error)
  const text = error instanceof Error ? error.message : String(error)
  const advice = (code !== undefined && ADVICE[code]) || 'this is unexpected: keep the file and report it'
  return new DatabaseFailure(`cannot use the database ${file} (${text}): ${advice}`, error)
}
