import { crc32, deflateSync, inflateSync } from 'node:zlib'

const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex')

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const head = Buffer.alloc(4)
  head.writeUInt32BE(data.length)
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(body))
  return Buffer.concat([head, body, sum])
}

/** An image in shades of grey, as PNG. Source: PNG specification. */
export function encodePng(width: number, height: number, shade: (x: number, y: number) => number): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, 0, 0, 0, 0], 8)
  const rows = Buffer.alloc(height * (width + 1))
  for (let y = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1) rows[y * (width + 1) + 1 + x] = shade(x, y) & 0xff
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

/** An image that was read. */
export interface Image {
  width: number
  height: number
  /** Each different pixel and how many there are of it. */
  colours: Map<string, number>
}

/** Samples of a pixel by colour type. Source: PNG specification, 11.2.2. */
const SAMPLES: Record<number, number> = { 0: 1, 2: 3, 4: 2, 6: 4 }

/** Reads a PNG of 8 bits a sample that is not interlaced, checking every sum. Throws where it is none. */
export function decodePng(png: Buffer): Image {
  if (!png.subarray(0, 8).equals(SIGNATURE)) throw new Error('it has not the signature of a PNG')
  const parts: Buffer[] = []
  let header: Buffer | undefined
  let isEnded = false
  for (let at = 8; at < png.length;) {
    const length = png.readUInt32BE(at)
    const type = png.toString('latin1', at + 4, at + 8)
    const data = png.subarray(at + 8, at + 8 + length)
    if (png.readUInt32BE(at + 8 + length) !== crc32(png.subarray(at + 4, at + 8 + length))) {
      throw new Error(`the sum of its ${type} is wrong`)
    }
    if (type === 'IHDR') header = data
    if (type === 'IDAT') parts.push(data)
    if (type === 'IEND') isEnded = true
    at += 12 + length
  }
  if (!header || !isEnded) throw new Error('it is not whole')
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)]
  const samples = SAMPLES[header[9] ?? -1]
  if (header[8] !== 8 || samples === undefined || header[12] !== 0)
    throw new Error('not a kind that is read here')
  const pixels = unfilter(inflateSync(Buffer.concat(parts)), width * samples, height, samples)
  const colours = new Map<string, number>()
  for (let at = 0; at < pixels.length; at += samples) {
    const colour = pixels.toString('hex', at, at + samples)
    colours.set(colour, (colours.get(colour) ?? 0) + 1)
  }
  return { width, height, colours }
}

/** Source: PNG specification, 9.2. */
function unfilter(data: Buffer, stride: number, height: number, samples: number): Buffer {
  if (data.length !== height * (stride + 1)) throw new Error('it has not as many pixels as it says')
  const out = Buffer.alloc(height * stride)
  const at = (x: number, y: number): number => (x < 0 || y < 0 ? 0 : (out[y * stride + x] ?? 0))
  for (let y = 0; y < height; y += 1) {
    const filter = data[y * (stride + 1)]
    for (let x = 0; x < stride; x += 1) {
      const left = at(x - samples, y)
      const above = at(x, y - 1)
      const before = x < samples ? 0 : at(x - samples, y - 1)
      const guess = [0, left, above, (left + above) >> 1, paeth(left, above, before)][filter ?? 0] ?? 0
      out[y * stride + x] = ((data[y * (stride + 1) + 1 + x] ?? 0) + guess) & 0xff
    }
  }
  return out
}

function paeth(left: number, above: number, before: number): number {
  const guess = left + above - before
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - above), Math.abs(guess - before)]
  if (a <= b && a <= c) return left
  return b <= c ? above : before
}
