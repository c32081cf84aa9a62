/**
 * Text of a .json file → the text of each record in it: the elements of an array, or values one after another, each on a
 * line or on several. In blocks, so that the file does not have to fit in memory. Used by `json_records.ts`.
 */

import { ClozeError } from "../config/cloze_error.ts";
import { LONGEST_RECORD } from "./csv.ts";
import { countLineEnds } from "./text_blocks.ts";

/** A record that is not parsed yet. */
export interface JsonText {
  text: string;
  /** Where it begins, from 1. */
  line: number;
}

/** What may come next: the beginning, a value, a value or the end, what ends it or goes on, nothing. */
type Expected = "start" | "value" | "first" | "comma" | "end";

const SPACE = /[ \t\r\n]/;

/** Takes a text in blocks and cuts it into values. */
export class JsonSplitter {
  readonly #file: string;
  #isArray = false;
  #expected: Expected = "start";
  #line = 1;
  /** Of the value in progress: pieces, their length, where it began, brackets and quotes that are open. */
  #pieces: string[] | undefined;
  #length = 0;
  #began = 1;
  #depth = 0;
  #inString = false;
  /** Whether the last block ended with a backslash that escapes what comes next. */
  #escaped = false;

  /** @param file for messages. */
  constructor(file: string) {
    this.#file = file;
  }

  /**
   * The values that end in the next block.
   *
   * @throws {ClozeError} `input` for what is no JSON between values, and values longer than {@linkcode LONGEST_RECORD}.
   */
  push(text: string): JsonText[] {
    const values: JsonText[] = [];
    for (let at = 0; at < text.length;) {
      if (this.#pieces === undefined) at = this.#between(text, at);
      if (this.#pieces === undefined || at >= text.length) continue;
      const { to, isWhole } = this.#endOf(text, at);
      const piece = text.slice(at, to);
      this.#pieces.push(piece);
      this.#line += countLineEnds(piece);
      if ((this.#length += piece.length) > LONGEST_RECORD) {
        throw this.#error(this.#began, `begins a record of more than ${LONGEST_RECORD} characters`);
      }
      if (isWhole) values.push(this.#finished());
      at = to;
    }
    return values;
  }

  /** The last value, if nothing follows it. @throws {ClozeError} `input` for a file that is cut off. */
  finish(): JsonText[] {
    if (this.#pieces !== undefined && (this.#depth > 0 || this.#inString || this.#isArray)) {
      throw this.#error(this.#began, "begins a record that does not end");
    }
    const last = this.#pieces === undefined ? [] : [this.#finished()];
    if (this.#isArray && this.#expected !== "end") {
      throw new ClozeError("input", `${this.#file} ends before its array does`, { hint: "it may be cut off" });
    }
    return last;
  }

  /** Skips white space and what separates values, to the beginning of one. */
  #between(text: string, from: number): number {
    for (let at = from; at < text.length; at++) {
      const character = text[at];
      if (SPACE.test(character)) {
        if (character === "\n") this.#line++;
      } else if (this.#expected === "start" && character === "[") {
        this.#isArray = true;
        this.#expected = "first";
      } else if (this.#expected === "start" && character !== "{") {
        throw this.#error(this.#line, `begins with ${JSON.stringify(character)}; expected [ or {`);
      } else if (this.#isArray && this.#expected === "comma" && character === ",") {
        this.#expected = "value";
      } else if (this.#isArray && (this.#expected === "comma" || this.#expected === "first") && character === "]") {
        this.#expected = "end";
      } else if (this.#expected === "comma" || this.#expected === "end" || character === "," || character === "]") {
        const wanted = { comma: ", or ]", end: "the end of the file", first: "a record", value: "a record", start: "" };
        throw this.#error(this.#line, `has ${JSON.stringify(character)}; expected ${wanted[this.#expected]}`);
      } else {
        this.#pieces = [];
        this.#length = 0;
        this.#began = this.#line;
        return at;
      }
    }
    return text.length;
  }

  /** Where the value in progress ends in the text, or the text does. */
  #endOf(text: string, from: number): { to: number; isWhole: boolean } {
    for (let at = from; at < text.length; at++) {
      if (this.#inString) {
        at = this.#endOfString(text, at);
        if (this.#inString) break;
        if (this.#depth === 0) return { to: at + 1, isWhole: true };
        continue;
      }
      const code = text.charCodeAt(at);
      if (code === 0x22) this.#inString = true;
      else if (code === 0x7B || code === 0x5B) this.#depth++;
      else if (code === 0x7D || code === 0x5D || code === 0x2C || code <= 0x20) {
        if (this.#depth === 0) return { to: at, isWhole: true }; // behind a number or a word
        if ((code === 0x7D || code === 0x5D) && --this.#depth === 0) return { to: at + 1, isWhole: true };
      }
    }
    return { to: text.length, isWhole: false };
  }

  /** Where the quote is that ends the string in progress; it stays open if the text ends before. */
  #endOfString(text: string, from: number): number {
    let at = this.#escaped ? from + 1 : from;
    this.#escaped = false;
    while (at < text.length) {
      const code = text.charCodeAt(at);
      if (code === 0x22) {
        this.#inString = false;
        return at;
      }
      at += code === 0x5C ? 2 : 1;
    }
    this.#escaped = at > text.length;
    return text.length;
  }

  #finished(): JsonText {
    const text = this.#pieces!.join("");
    this.#pieces = undefined;
    this.#expected = this.#isArray ? "comma" : "value";
    return { text, line: this.#began };
  }

  #error(line: number, what: string): ClozeError {
    return new ClozeError("input", `${this.#file}: line ${line} ${what}`, {
      hint: "a .json file is an array of records, [{…}, {…}], or has them one after another",
    });
  }
}
