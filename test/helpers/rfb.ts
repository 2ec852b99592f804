import type { Duplex } from 'node:stream'

/** What an RFB server said of itself, and what came of asking for the whole picture. Source: RFC 6143. */
export interface Frame {
  version: string
  width: number
  height: number
  name: string
  /** How many different pixels the picture has. */
  colours: number
}

const RAW = 0

/** Shakes hands without a password and takes one whole picture. Throws where the server wants something else. */
export async function readFrame(stream: Duplex): Promise<Frame> {
  const read = reader(stream)
  const version = (await read(12)).toString('latin1')
  stream.write(version)
  const kinds = [...(await read((await read(1)).readUInt8()))]
  if (!kinds.includes(1)) throw new Error(`it offers security types ${kinds.join()}, and not None`)
  stream.write(Buffer.from([1]))
  if ((await read(4)).readUInt32BE() !== 0) throw new Error('it does not let us in')
  // Shared: nobody else is to be disconnected.
  stream.write(Buffer.from([1]))
  const init = await read(24)
  const [width, height] = [init.readUInt16BE(0), init.readUInt16BE(2)]
  const name = (await read(init.readUInt32BE(20))).toString()
  stream.write(Buffer.from([2, 0, 0, 1, 0, 0, 0, RAW]))
  const ask = Buffer.from([3, 0, 0, 0, 0, 0, 0, 0, 0, 0])
  ask.writeUInt16BE(width, 6)
  ask.writeUInt16BE(height, 8)
  stream.write(ask)
  const bytesPerPixel = init.readUInt8(4) / 8
  const colours = new Set<string>()
  const head = await read(4)
  if (head.readUInt8(0) !== 0) throw new Error(`message ${head.readUInt8(0)} came where a picture was due`)
  for (let left = head.readUInt16BE(2); left > 0; left -= 1) {
    const rect = await read(12)
    if (rect.readInt32BE(8) !== RAW) throw new Error(`encoding ${rect.readInt32BE(8)} was not asked for`)
    const pixels = await read(rect.readUInt16BE(4) * rect.readUInt16BE(6) * bytesPerPixel)
    for (let at = 0; at < pixels.length; at += bytesPerPixel) {
      colours.add(pixels.toString('hex', at, at + bytesPerPixel))
    }
  }
  return { version, width, height, name, colours: colours.size }
}

function reader(stream: Duplex): (bytes: number) => Promise<Buffer> {
  const chunks = stream.iterator({ destroyOnReturn: false })
  let kept: Buffer = Buffer.alloc(0)
  return async (bytes) => {
    while (kept.length < bytes) {
      const { done, value } = await chunks.next()
      if (done) throw new Error('the stream ended')
      kept = Buffer.concat([kept, value])
    }
    const taken = kept.subarray(0, bytes)
    kept = kept.subarray(bytes)
    return taken
  }
}
