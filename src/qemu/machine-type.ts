/** Of the machines that QEMU has, those whose buses the command line of this folder is made for. */
const Q35 = /^pc-q35-[a-z0-9.]+$/

/** Whether guests can be built on that machine. `name` is concrete, such as `pc-q35-7.2`. */
export function isGuestMachine(name: string): boolean {
  return Q35.test(name)
}
