/** What programs in TypeScript use of `node.mjs`. */
export declare const FLAGS: readonly string[]
