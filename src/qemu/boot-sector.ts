/**
 * The smallest guest there is: one sector that a BIOS loads and runs. It needs no kernel and proves that code runs.
 */

/** Of a disk with less than a cylinder, SeaBIOS reads nothing. */
const DISK_BYTES = 1024 * 1024
const LOADED_AT = 0x7c00
const CODE_BYTES = 41
const SIGNATURE_AT = 510

/** I/O port of the device `isa-debug-exit`; QEMU ends with `EXIT_CODE` when the guest writes there. */
export const EXIT_PORT = 0xf4
const EXIT_VALUE = 0x31
/** QEMU doubles the value and adds one. */
export const EXIT_CODE = EXIT_VALUE * 2 + 1

/**
 * A raw disk whose boot sector writes `text` to the first serial port, then to `EXIT_PORT`, then stands still.
 *
 * `text` is ASCII of at most 468 characters.
 */
export function buildBootDisk(text: string): Buffer {
  const disk = Buffer.alloc(DISK_BYTES)
  const message = Buffer.from(`${text}\0`, 'ascii')
  if (CODE_BYTES + message.length > SIGNATURE_AT)
    throw new RangeError('the text is longer than a boot sector')
  disk.set(machineCode(LOADED_AT + CODE_BYTES))
  disk.set(message, CODE_BYTES)
  disk.set([0x55, 0xaa], SIGNATURE_AT)
  return disk
}

/** 16-bit code for an 8086, an instruction a row. */
function machineCode(message: number): number[] {
  return [
    [0xfa], // cli
    [0xfc], // cld
    [0x31, 0xc0], // xor ax, ax
    [0x8e, 0xd8], // mov ds, ax
    [0xbe, message & 0xff, message >> 8], // mov si, message
    [0xac], // next: lodsb
    [0x84, 0xc0], // test al, al
    [0x74, 18], // jz done
    [0x88, 0xc4], // mov ah, al
    [0xba, 0xfd, 0x03], // mov dx, 0x3fd
    [0xec], // wait: in al, dx
    [0xa8, 0x20], // test al, 0x20
    [0x74, 0x100 - 5], // jz wait
    [0xba, 0xf8, 0x03], // mov dx, 0x3f8
    [0x88, 0xe0], // mov al, ah
    [0xee], // out dx, al
    [0xeb, 0x100 - 23], // jmp next
    [0xba, EXIT_PORT, 0x00], // done: mov dx, EXIT_PORT
    [0xb0, EXIT_VALUE], // mov al, EXIT_VALUE
    [0xee], // out dx, al
    [0xf4], // halt: hlt
    [0xeb, 0x100 - 3], // jmp halt
  ].flat()
}
