/** Where a field stands in an object, such as `spec.template.spec.volumes[0].name`. Never changes. */
export class FieldPath {
  readonly #text: string

  constructor(text = '') {
    this.#text = text
  }

  /** The path of a member, or of a member of a member. */
  child(...names: string[]): FieldPath {
    return new FieldPath([this.#text, ...names].filter((part) => part !== '').join('.'))
  }

  /** The path of an element of a list. */
  index(position: number): FieldPath {
    return new FieldPath(`${this.#text}[${position}]`)
  }

  /** The path of an entry of a map, such as `data[tls.key]`. */
  key(name: string): FieldPath {
    return new FieldPath(`${this.#text}[${name}]`)
  }

  toString(): string {
    return this.#text
  }
}
