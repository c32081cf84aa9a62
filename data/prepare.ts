/**
 * Documents → two shards, for training and held out. They are made once and used again as long as files, tokenizer and
 * options are the same. Called by the pretrain command.
 */

import { createHash } from "node:crypto";
import { ioError } from "../config/cloze_error.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import type { Document } from "./corpus.ts";
import { Random, STREAMS } from "./rng.ts";
import { Shard, type ShardHeader, ShardWriter } from "./shards.ts";

/** Share of the documents that training never sees. */
const HELD_OUT = 0.02;

/** Both shards, open. */
export interface PreparedData {
  train: Shard;
  heldOut: Shard;
  /** A hash of what the shards were made from. */
  source: string;
  /** Whether they were there already. */
  reused: boolean;
}

/** A hash of the files (path, size, time of change), or of what else the documents are made from. */
export async function sourceHash(files: readonly string[], extra: string): Promise<string> {
  const hash = createHash("sha256").update(extra);
  for (const file of files) {
    const info = await Deno.stat(file).catch((error) => {
      throw ioError(error, "read", file);
    });
    hash.update(`\n${file}\t${info.size}\t${info.mtime?.getTime()}`);
  }
  return hash.digest("hex");
}

/** A hash of everything that decides which ids a text becomes. */
export function tokenizerHash(tokenizer: Tokenizer): string {
  const { normalizer, max_input_chars_per_word, vocabulary } = tokenizer;
  return createHash("sha256").update(JSON.stringify({ normalizer, max_input_chars_per_word, vocabulary })).digest(
    "hex",
  );
}

/** Opens the shards in `folder`, after writing them if they are not there or were made from something else. */
export async function prepareShards(
  folder: string,
  documents: () => AsyncIterable<Document> | Iterable<Document>,
  tokenizer: Tokenizer,
  documentsHash: string,
  onProgress: (tokens: number) => void = () => {},
): Promise<PreparedData> {
  const source = createHash("sha256").update(`${documentsHash} ${tokenizerHash(tokenizer)} ${HELD_OUT}`).digest("hex");
  const paths = { train: `${folder}/train.shard`, heldOut: `${folder}/held_out.shard` };
  const same = (header?: ShardHeader) => header?.source === source;
  const reused = same(await Shard.peek(paths.train)) && same(await Shard.peek(paths.heldOut));
  if (!reused) await write(folder, paths, documents(), tokenizer, source, onProgress);
  return { train: await Shard.open(paths.train), heldOut: await Shard.open(paths.heldOut), source, reused };
}

async function write(
  folder: string,
  paths: { train: string; heldOut: string },
  documents: AsyncIterable<Document> | Iterable<Document>,
  tokenizer: Tokenizer,
  source: string,
  onProgress: (tokens: number) => void,
): Promise<void> {
  await Deno.mkdir(folder, { recursive: true }).catch((error) => {
    throw ioError(error, "create the folder", folder);
  });
  const train = await ShardWriter.create(paths.train, tokenizer.size, source);
  const heldOut = await ShardWriter.create(paths.heldOut, tokenizer.size, source);
  const random = new Random(0, STREAMS.holdout);
  let index = 0, tokens = 0;
  for await (const document of documents) {
    const sentences = document.map((sentence) => {
      const ids: number[] = [];
      tokenizer.encodeIds(sentence, ids);
      tokens += ids.length;
      return ids;
    });
    (random.at(0, index++).uniform() < HELD_OUT ? heldOut : train).add(sentences);
    if (index % 1024 === 0) onProgress(tokens);
  }
  await heldOut.finish();
  await train.finish(); // last: both are there when this one is
}
