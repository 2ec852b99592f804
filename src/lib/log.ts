/** What is written to a log: fields first, then a fixed text. A `pino` logger is one. */
export interface Log {
  debug(fields: object, text: string): void
  info(fields: object, text: string): void
  warn(fields: object, text: string): void
  error(fields: object, text: string): void
}
