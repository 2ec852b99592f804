import { Writable } from 'node:stream'

/** Bytes that are joined to one piece at most, unless they come in larger ones. */
const PIECE_BYTES = 64 * 1024

/** Takes one piece, and calls `done` once it may have the next. */
export type TakePiece = (piece: Buffer, done: (error?: Error | null) => void) => void

/**
 * The end of a byte stream whose pieces are dear: those that come while one is being taken are joined, up to 64 KiB. A
 * piece that comes alone is taken at once. At most about `highWaterMark` bytes wait.
 */
export function gatheringSink(highWaterMark: number, take: TakePiece): Writable {
  return new Writable({
    highWaterMark,
    write: (chunk: Buffer, _encoding, done) => take(chunk, done),
    writev: (entries, done) => takeEach(joinPieces(entries.map(({ chunk }) => chunk)), take, done),
  })
}

function takeEach(pieces: Buffer[], take: TakePiece, done: (error?: Error | null) => void): void {
  const piece = pieces.shift()
  if (!piece) return done()
  take(piece, (error) => (error ? done(error) : takeEach(pieces, take, done)))
}

function joinPieces(chunks: Buffer[]): Buffer[] {
  const pieces: Buffer[] = []
  let together: Buffer[] = []
  let bytes = 0
  for (const chunk of chunks) {
    if (bytes > 0 && bytes + chunk.length > PIECE_BYTES) {
      pieces.push(joined(together))
      together = []
      bytes = 0
    }
    together.push(chunk)
    bytes += chunk.length
  }
  if (together.length > 0) pieces.push(joined(together))
  return pieces
}

/** Without a copy where there is but one. */
function joined(chunks: Buffer[]): Buffer {
  const [first] = chunks
  return first && chunks.length === 1 ? first : Buffer.concat(chunks)
}
