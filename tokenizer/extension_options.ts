/** How many tokens a tokenizer is extended by. Used by all that extends one. */

/** How many tokens to learn, and from how often on. */
export interface ExtensionOptions {
  /** Most new tokens. */
  add: number;
  /** Characters and pairs that are rarer are left out. */
  min_frequency: number;
}
