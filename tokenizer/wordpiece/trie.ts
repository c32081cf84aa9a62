/**
 * A vocabulary, and the longest token of it that a text begins with. Edges are in one hash table over typed arrays, keyed by
 * node and code point. Tokens that begin alike get their edges when a text first begins so: a sentence needs few of a
 * vocabulary, whose edges take 40 ms of a process that has just started. Used by `word_piece.ts` and by Unigram's model.
 */

import { codePointAt, widthOf } from "../utf8.ts";

/** A root: tokens that begin with its prefix, without it. */
interface Root {
  prefix: string;
  /** By the first code unit behind the prefix, the id plus one of the first token that has it and no edges yet. */
  first: Int32Array;
  /** By id, the id plus one of the next token that begins with the same code unit. */
  next: Int32Array;
}

/** Several tries of one vocabulary that share their memory: each root is one. */
export class Trie {
  readonly #vocabulary: readonly string[];
  readonly #roots: Root[];
  /** Four numbers an edge: node, code point, node it leads to (0 where the slot is free), id there plus one or 0. */
  #slots = new Int32Array(1 << 10);
  #shift = 24;
  #edges = 0;
  #nodes: number;
  /** Where the match found last ends. */
  end = 0;
  /** Of the tokens that `prefixes` found last: where each ends, and its id. */
  readonly ends: number[] = [];
  readonly ids: number[] = [];

  /** @param prefixes of each root: it has the tokens that are longer than its prefix and begin with it. */
  constructor(vocabulary: readonly string[], prefixes: readonly string[]) {
    this.#vocabulary = vocabulary;
    this.#nodes = prefixes.length;
    this.#roots = prefixes.map((prefix) => {
      const first = new Int32Array(1 << 16), next = new Int32Array(vocabulary.length);
      for (let id = vocabulary.length - 1; id >= 0; id--) {
        const token = vocabulary[id];
        if (token.length <= prefix.length || (prefix !== "" && !token.startsWith(prefix))) continue;
        const unit = token.charCodeAt(prefix.length);
        next[id] = first[unit];
        first[unit] = id + 1;
      }
      return { prefix, first, next };
    });
  }

  /** Makes the edges of tokens that may begin with this code point, in order. Returns whether there were any. */
  #open(root: number, code: number): boolean {
    const { prefix, first, next } = this.#roots[root];
    const unit = code > 0xFFFF ? 0xD800 + (code - 0x10000 >> 10) : code;
    const found = first[unit];
    for (let at = found; at !== 0; at = next[at - 1]) {
      this.#addEdges(root, this.#vocabulary[at - 1].slice(prefix.length), at - 1);
    }
    first[unit] = 0;
    return found !== 0;
  }

  #addEdges(root: number, text: string, id: number): void {
    let node = root, slot = 0;
    for (const character of text) {
      slot = this.#slotOf(node, character.codePointAt(0)!);
      node = this.#slots[slot + 2];
    }
    this.#slots[slot + 3] = id + 1;
  }

  /** The slot of an edge, which is made if it is not there. */
  #slotOf(node: number, code: number): number {
    if (2 * 4 * this.#edges >= this.#slots.length) this.#spread();
    const slots = this.#slots;
    let slot = hashOf(node, code) >>> this.#shift << 2;
    while (slots[slot + 2] !== 0) {
      if (slots[slot] === node && slots[slot + 1] === code) return slot;
      slot = (slot + 4) & (slots.length - 4);
    }
    slots[slot] = node;
    slots[slot + 1] = code;
    slots[slot + 2] = this.#nodes++;
    this.#edges++;
    return slot;
  }

  #spread(): void {
    const old = this.#slots;
    const slots = this.#slots = new Int32Array(2 * old.length);
    this.#shift--;
    for (let i = 0; i < old.length; i += 4) {
      if (old[i + 2] === 0) continue;
      let slot = hashOf(old[i], old[i + 1]) >>> this.#shift << 2;
      while (slots[slot + 2] !== 0) slot = (slot + 4) & (slots.length - 4);
      for (let k = 0; k < 4; k++) slots[slot + k] = old[i + k];
    }
  }

  /** The id of the longest token under the root that `bytes[start..to)` begins with, or -1; sets `end`. */
  longest(root: number, bytes: Uint8Array, start: number, to: number): number {
    const found = this.#longest(root, bytes, start, to);
    if (found >= 0 || start === to || !this.#open(root, codePointAt(bytes, start))) return found;
    return this.#longest(root, bytes, start, to);
  }

  /**
   * Finds every token under the root that `bytes[start..to)` begins with, the shortest first. Returns how many there are;
   * `ends` and `ids` say which; of two that are the same it is the last one.
   */
  prefixes(root: number, bytes: Uint8Array, start: number, to: number): number {
    if (start === to) return 0;
    this.#open(root, codePointAt(bytes, start));
    const slots = this.#slots, shift = this.#shift, last = slots.length - 4;
    let found = 0, node = root;
    for (let i = start; i < to;) {
      const byte = bytes[i], code = byte < 0x80 ? byte : codePointAt(bytes, i);
      let slot = hashOf(node, code) >>> shift << 2;
      let next = slots[slot + 2];
      while (next !== 0 && (slots[slot] !== node || slots[slot + 1] !== code)) {
        slot = (slot + 4) & last;
        next = slots[slot + 2];
      }
      if (next === 0) break;
      node = next;
      i += widthOf(byte);
      if (slots[slot + 3] !== 0) {
        this.ends[found] = i;
        this.ids[found++] = slots[slot + 3] - 1;
      }
    }
    return found;
  }

  #longest(root: number, bytes: Uint8Array, start: number, to: number): number {
    const slots = this.#slots, shift = this.#shift, last = slots.length - 4;
    let found = 0, node = root;
    for (let i = start; i < to;) {
      const code = codePointAt(bytes, i);
      let slot = hashOf(node, code) >>> shift << 2;
      let next = slots[slot + 2];
      while (next !== 0 && (slots[slot] !== node || slots[slot + 1] !== code)) {
        slot = (slot + 4) & last;
        next = slots[slot + 2];
      }
      if (next === 0) break;
      node = next;
      i += widthOf(bytes[i]);
      if (slots[slot + 3] !== 0) {
        found = slots[slot + 3];
        this.end = i;
      }
    }
    return found - 1;
  }
}

function hashOf(node: number, code: number): number {
  return Math.imul(Math.imul(node, 0x9E3779B1) ^ code, 0x85EBCA6B);
}
