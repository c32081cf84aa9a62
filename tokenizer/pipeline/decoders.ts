/** The decoders of tokenizer.json: tokens → text. Used by the spelling of pipelines. */

import { ClozeError } from "../../config/cloze_error.ts";
import { bytesOf } from "../bpe/byte_alphabet.ts";
import { isObject, type Json, shown, string } from "../json_fields.ts";
import { readMetaspace } from "../unigram/metaspace.ts";

/** Changes tokens; what is left is joined. */
export type Decoder = (tokens: readonly string[]) => string[];

/** Reads a step from its object in tokenizer.json. */
export type ReadDecoder = (json: Record<string, Json>) => Decoder;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Bytes as text; what is no UTF-8 becomes U+FFFD. */
function textOf(parts: readonly Uint8Array[]): string {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return decoder.decode(bytes);
}

/** All tokens as the bytes that they stand for; a token that stands for none is text. */
export function decodeByteLevel(tokens: readonly string[]): string[] {
  return [textOf(tokens.map((token) => bytesOf(token) ?? encoder.encode(token)))];
}

/** Runs of `<0x00>` … `<0xFF>` become the text of their bytes, or U+FFFD for each where they are no UTF-8. */
function decodeByteFallback(tokens: readonly string[]): string[] {
  const out: string[] = [];
  let bytes: number[] = [];
  const flush = () => {
    if (bytes.length === 0) return;
    const text = decoder.decode(Uint8Array.from(bytes));
    const isWhole = encoder.encode(text).every((byte, i) => byte === bytes[i]);
    if (isWhole) out.push(text);
    else out.push(...bytes.map(() => "\uFFFD"));
    bytes = [];
  };
  for (const token of tokens) {
    const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
    if (byte === undefined) {
      flush();
      out.push(token);
    } else bytes.push(parseInt(byte, 16));
  }
  flush();
  return out;
}

function replace(json: Record<string, Json>): Decoder {
  const text = isObject(json.pattern) ? json.pattern.String : undefined;
  const from = string(text, "decoder.pattern.String"), to = string(json.content, "decoder.content");
  return (tokens) => tokens.map((token) => token.replaceAll(from, to));
}

function strip(json: Record<string, Json>): Decoder {
  const content = string(json.content, "decoder.content");
  const [start, stop] = [json.start, json.stop].map((count, i) => {
    if (Number.isInteger(count) && count >= 0) return count as number;
    throw new ClozeError("input", `its decoder.${i === 0 ? "start" : "stop"} is ${shown(count)}, not a count`);
  });
  return (tokens) =>
    tokens.map((token) => {
      const characters = Array.from(token);
      let from = 0, to = characters.length;
      while (from < start && characters[from] === content) from++;
      for (let taken = 0; taken < stop && to > from && characters[to - 1] === content; taken++) to--;
      return characters.slice(from, to).join("");
    });
}

/** Every mark is a space, but those of the first token are taken away, unless none is put before a text. */
function metaspace(json: Record<string, Json>): Decoder {
  const { replacement, prepend_scheme } = readMetaspace(json, "decoder");
  const first = prepend_scheme === "never" ? " " : "";
  return (tokens) => tokens.map((token, i) => token.replaceAll(replacement, i === 0 ? first : " "));
}

/** The steps by their type. */
const DECODERS: Record<string, ReadDecoder> = {
  ByteLevel: () => decodeByteLevel,
  ByteFallback: () => decodeByteFallback,
  Metaspace: metaspace,
  Fuse: () => (tokens) => [tokens.join("")],
  Replace: replace,
  Strip: strip,
};

/** What makes text of tokens: the steps of a file, without sequences around them; without any, spaces between tokens. */
export function readDecoder(steps: readonly Record<string, Json>[]): (tokens: readonly string[]) => string {
  if (steps.length === 0) return (tokens) => tokens.join(" ");
  const chain = steps.map((json) => {
    const { type } = json;
    if (typeof type === "string" && Object.hasOwn(DECODERS, type)) return DECODERS[type](json);
    throw new ClozeError("input", `its decoder ${shown(type)} is not one that cloze reads`, {
      hint: `cloze reads ${Object.keys(DECODERS).join(", ")}`,
    });
  });
  return (tokens) => chain.reduce<readonly string[]>((tokens, step) => step(tokens), tokens).join("");
}
