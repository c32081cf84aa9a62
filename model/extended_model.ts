/**
 * A model folder with more tokens: a copy of another one whose embedding, and whatever else has a row a token, is longer.
 * Tensors are streamed; the new folder is whole or not there. Used by `cloze extend-vocab`.
 */

import { ClozeError, ioError, messageOf } from "../config/cloze_error.ts";
import { parseJsonObject } from "../config/json_object.ts";
import { LONGEST_FILE, readWholeText } from "../config/regular_file.ts";
import { giveName, syncFolder, temporaryBeside, writeAll, writeWhole } from "../config/whole_file.ts";
import { type Tokenizer, tokenizerFiles } from "../tokenizer/mod.ts";
import { writeChecksums } from "./checksums.ts";
import { parseModelConfig } from "./model_config.ts";
import { modelChecksums } from "./publish_model.ts";

/** Tensors with a row a token, under Hugging Face's names. */
const PER_TOKEN = /(^|\.)embeddings\.word_embeddings\.weight$|^cls\.predictions\.(decoder\.weight|decoder\.bias|bias)$/;
const CHUNK = 1 << 20;

interface TensorInfo {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/** What to make. */
export interface ExtendedModel {
  /** Folder of the model. */
  from: string;
  /** Folder to make: not there yet, or empty. */
  to: string;
  /** With the new tokens at its end. */
  tokenizer: Tokenizer;
  /** For each new token the ids whose mean its rows begin as. */
  pieces: readonly ArrayLike<number>[];
}

/**
 * Writes the folder. Rows that the model has beyond its tokens, as padding, are used first.
 *
 * @returns the new `vocab_size`.
 * @throws {ClozeError} `io` or `input`, naming the file.
 */
export async function writeExtendedModel({ from, to, tokenizer, pieces }: ExtendedModel): Promise<number> {
  const text = await readWholeText(`${from}/config.json`, LONGEST_FILE.config);
  const old = parseModelConfig(text, `${from}/config.json`);
  const config = parseJsonObject(text, `${from}/config.json`);
  const vocab_size = Math.max(old.vocab_size, tokenizer.size);
  const temporary = temporaryBeside(to);
  try {
    await Deno.mkdir(temporary, { recursive: true });
    await extendWeights(`${from}/model.safetensors`, `${temporary}/model.safetensors`, {
      old_size: old.vocab_size,
      vocab_size,
      first: tokenizer.size - pieces.length,
      pieces,
    });
    const texts = {
      ...tokenizerFiles(tokenizer, old.max_position_embeddings),
      "config.json": JSON.stringify({ ...config, vocab_size }, null, 2) + "\n",
    };
    for (const [name, text] of Object.entries(texts)) await writeWhole(`${temporary}/${name}`, text);
    await writeChecksums(temporary, await modelChecksums(texts, `${temporary}/model.safetensors`));
    syncFolder(temporary);
    giveName(temporary, to);
  } catch (error) {
    await Deno.remove(temporary, { recursive: true }).catch(() => {});
    throw ioError(error, "write", to);
  }
  return vocab_size;
}

interface Rows {
  old_size: number;
  vocab_size: number;
  /** Id of the first new token. */
  first: number;
  pieces: readonly ArrayLike<number>[];
}

async function extendWeights(from: string, to: string, rows: Rows): Promise<void> {
  using source = await Deno.open(from).catch((error) => {
    throw ioError(error, "read", from);
  });
  const { tensors, metadata, start } = readHeader(source, from);
  const names = Object.keys(tensors).sort((a, b) => tensors[a].data_offsets[0] - tensors[b].data_offsets[0]);
  if (!names.some((name) => PER_TOKEN.test(name) && name.endsWith("word_embeddings.weight"))) {
    throw new ClozeError("input", `${from} has no word_embeddings.weight`);
  }
  const header: Record<string, unknown> = metadata === undefined ? {} : { __metadata__: metadata };
  let end = 0;
  for (const name of names) {
    const { dtype, shape, data_offsets: [first, last] } = tensors[name];
    let size = last - first;
    const grows = PER_TOKEN.test(name);
    if (grows) {
      if (shape[0] !== rows.old_size || size % rows.old_size !== 0) {
        throw new ClozeError("input", `${from}: ${name} has ${shape[0]} rows, but vocab_size is ${rows.old_size}`);
      }
      if (!(dtype in FLOATS)) {
        throw new ClozeError("input", `${from}: ${name} is ${dtype}, not ${Object.keys(FLOATS).join(", ")}`);
      }
      size = size / rows.old_size * rows.vocab_size;
    }
    header[name] = {
      dtype,
      shape: grows ? [rows.vocab_size, ...shape.slice(1)] : shape,
      data_offsets: [end, end + size],
    };
    end += size;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const padded = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(32);
  new DataView(padded.buffer).setBigUint64(0, BigInt(padded.length - 8), true);
  padded.set(json, 8);

  using target = await Deno.open(to, { write: true, createNew: true });
  writeAll(target, padded);
  for (const name of names) {
    const { dtype, data_offsets: [first, last] } = tensors[name];
    const copy = (at: number, length: number) => {
      source.seekSync(start + first + at, Deno.SeekMode.Start);
      for (let left = length; left > 0; left -= CHUNK) writeAll(target, readAll(source, Math.min(left, CHUNK), from));
    };
    if (!PER_TOKEN.test(name)) {
      copy(0, last - first);
      continue;
    }
    const width = (last - first) / rows.old_size;
    const row = (id: number) => {
      source.seekSync(start + first + id * width, Deno.SeekMode.Start);
      return FLOATS[dtype].read(readAll(source, width, from));
    };
    copy(0, rows.first * width);
    for (const ids of rows.pieces) {
      const mean = new Float64Array(width / FLOATS[dtype].size);
      for (let i = 0; i < ids.length; i++) row(ids[i]).forEach((value, k) => mean[k] += value / ids.length);
      writeAll(target, FLOATS[dtype].write(mean));
    }
    const done = rows.first + rows.pieces.length;
    if (done < rows.old_size) copy(done * width, (rows.old_size - done) * width);
  }
  await target.sync();
}

function readHeader(file: Deno.FsFile, path: string) {
  const size = file.statSync().size;
  const refuse = (why: string) => new ClozeError("input", `${path} is not a whole safetensors file: ${why}`);
  if (size < 8) throw refuse("it is shorter than its header");
  const length = Number(new DataView(readAll(file, 8, path).buffer).getBigUint64(0, true));
  if (!(length > 0 && length <= size - 8 && length <= 100_000_000)) throw refuse("its header has an impossible length");
  let header: Record<string, TensorInfo>;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(readAll(file, length, path)));
  } catch (error) {
    throw refuse(messageOf(error));
  }
  const { __metadata__: metadata, ...tensors } = header as Record<string, TensorInfo> & { __metadata__?: unknown };
  for (const [name, { shape, data_offsets }] of Object.entries(tensors)) {
    const [first, last] = data_offsets ?? [];
    if (!Array.isArray(shape) || !(first >= 0 && first <= last && 8 + length + last <= size)) {
      throw refuse(`the tensor ${name} lies outside it`);
    }
  }
  return { tensors, metadata, start: 8 + length };
}

function readAll(file: Deno.FsFile, length: number, path: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const read = file.readSync(bytes.subarray(at));
    if (read === null) throw new ClozeError("input", `${path} is cut off`);
    at += read;
  }
  return bytes;
}

/** Numbers as safetensors has them, little-endian. */
const FLOATS: Record<string, {
  size: number;
  read: (bytes: Uint8Array<ArrayBuffer>) => Float32Array | Float64Array | Float16Array;
  write: (values: Float64Array) => Uint8Array;
}> = {
  F64: {
    size: 8,
    read: (bytes) => new Float64Array(bytes.buffer),
    write: (values) => new Uint8Array(values.slice().buffer),
  },
  F32: {
    size: 4,
    read: (bytes) => new Float32Array(bytes.buffer),
    write: (values) => new Uint8Array(Float32Array.from(values).buffer),
  },
  F16: {
    size: 2,
    read: (bytes) => new Float16Array(bytes.buffer),
    write: (values) => new Uint8Array(Float16Array.from(values).buffer),
  },
  BF16: {
    size: 2,
    // The upper half of a 32-bit float, rounded to the nearest, to even where two are as near.
    read: (bytes) => new Float32Array(Uint32Array.from(new Uint16Array(bytes.buffer), (half) => half << 16).buffer),
    write: (values) => {
      const bits = new Uint32Array(Float32Array.from(values).buffer);
      return new Uint8Array(Uint16Array.from(bits, (bit) => bit + 0x7FFF + (bit >>> 16 & 1) >>> 16).buffer);
    },
  },
};
