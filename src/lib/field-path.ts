/**
 * Where a field stands in an object, such as `spec.template.spec.volumes[0].name`. Never changes. It is cheap to
 * make: the text comes of it when somebody asks, and most are made for faults that are not there.
 */
export class FieldPath {
  readonly #parent: FieldPath | undefined
  /** The names of a member and of members of it, the position of an element, or text that stands as it is. */
  readonly #step: readonly string[] | number | string

  constructor(step: readonly string[] | number | string = '', parent?: FieldPath) {
    this.#step = step
    this.#parent = parent
  }

  /** The path of a member, or of a member of a member. */
  child(...names: string[]): FieldPath {
    return new FieldPath(names, this)
  }

  /** The path of an element of a list. */
  index(position: number): FieldPath {
    return new FieldPath(position, this)
  }

  /** The path of an entry of a map, such as `data[tls.key]`. */
  key(name: string): FieldPath {
    return new FieldPath(`[${name}]`, this)
  }

  toString(): string {
    const before = this.#parent?.toString() ?? ''
    const step = this.#step
    if (typeof step === 'number') return `${before}[${step}]`
    return typeof step === 'string' ? before + step : [before, ...step].filter(Boolean).join('.')
  }
}
