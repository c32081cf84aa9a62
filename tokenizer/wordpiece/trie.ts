/**
 * Strings with numbers, and the longest of them that a text begins with. Edges are in one hash table over typed arrays,
 * keyed by node and code point. Strings that begin with the same code point get their edges when a text first begins with
 * it: a sentence needs few of a vocabulary, whose edges take 40 ms of a process that has just started. Used by
 * `word_piece.ts`.
 */

import { codePointAt, widthOf } from "../utf8.ts";

/** Several tries that share their memory: each root is one. */
export class Trie {
  /** Four numbers an edge: node, code point, node it leads to (0 where the slot is free), value there plus one or 0. */
  #slots = new Int32Array(1 << 10);
  #shift = 24;
  #edges = 0;
  #nodes: number;
  /** Strings that have no edges yet, each followed by its value, by root and first code point. */
  readonly #waiting: Map<number, (string | number)[]>[];
  /** Where the match found last ends. */
  end = 0;
  /** Of the strings that `prefixes` found last: where each ends, and its value. */
  readonly ends: number[] = [];
  readonly values: number[] = [];

  constructor(roots: number) {
    this.#nodes = roots;
    this.#waiting = Array.from({ length: roots }, () => new Map());
  }

  /** Adds a string, which is not empty, under a root. It waits for its edges, after a search only beside others. */
  add(root: number, text: string, value: number): void {
    const first = text.codePointAt(0)!, waiting = this.#waiting[root];
    const group = waiting.get(first);
    if (group !== undefined) group.push(text, value);
    else if (this.#edges === 0) waiting.set(first, [text, value]);
    else this.#addEdges(root, text, value);
  }

  /** Makes the edges of strings that wait for this code point. Returns whether there were any. */
  #open(root: number, first: number): boolean {
    const group = this.#waiting[root].get(first);
    if (group === undefined) return false;
    for (let i = 0; i < group.length; i += 2) this.#addEdges(root, group[i] as string, group[i + 1] as number);
    return this.#waiting[root].delete(first);
  }

  #addEdges(root: number, text: string, value: number): void {
    let node = root, slot = 0;
    for (const character of text) {
      slot = this.#slotOf(node, character.codePointAt(0)!);
      node = this.#slots[slot + 2];
    }
    this.#slots[slot + 3] = value + 1;
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

  /** The value of the longest string under the root that `bytes[start..to)` begins with, or -1; sets `end`. */
  longest(root: number, bytes: Uint8Array, start: number, to: number): number {
    const found = this.#longest(root, bytes, start, to);
    if (found >= 0 || start === to || !this.#open(root, codePointAt(bytes, start))) return found;
    return this.#longest(root, bytes, start, to);
  }

  /**
   * Finds every string under the root that `bytes[start..to)` begins with, the shortest first. Returns how many there are;
   * `ends` and `values` say which.
   */
  prefixes(root: number, bytes: Uint8Array, start: number, to: number): number {
    if (start === to) return 0;
    if (this.#waiting[root].size > 0) this.#open(root, codePointAt(bytes, start));
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
        this.values[found++] = slots[slot + 3] - 1;
      }
    }
    return found;
  }

  #longest(root: number, bytes: Uint8Array, start: number, to: number): number {
    const slots = this.#slots, shift = this.#shift, last = slots.length - 4;
    let value = 0, node = root;
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
        value = slots[slot + 3];
        this.end = i;
      }
    }
    return value - 1;
  }
}

function hashOf(node: number, code: number): number {
  return Math.imul(Math.imul(node, 0x9E3779B1) ^ code, 0x85EBCA6B);
}
