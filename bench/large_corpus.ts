/**
 * A corpus larger than memory, from text to batches: makes one by repetition with variation, then learns a tokenizer,
 * writes the shards and reads one epoch of batches, each in a process of its own. Prints and writes to
 * results/large_corpus.json the time, the processor time and the peak resident memory of each. Not part of the product.
 *
 * usage: deno run -A bench/large_corpus.ts FOLDER GIGABYTES [THREADS] FILE…
 *
 * FOLDER takes the corpus and what is made of it: about 1.6 times GIGABYTES. It is left there. The corpus consists of
 * plain files with the documents of FILE… in another order each time, with 2% of the words replaced by others.
 */

import process from "node:process";
import { CORPUS_DEFAULTS, MASKING_DEFAULTS, SAMPLING_DEFAULTS } from "../config/batch_config.ts";
import { expandPaths, MlmBatches, prepareShards, readDocuments, Shard } from "../data/mod.ts";
import { Random } from "../data/rng.ts";
import { loadTokenizer } from "../tokenizer/mod.ts";
import { machine } from "./peers.ts";

const VOCAB_SIZE = 16_000;
const FILE_BYTES = 256e6;

/** What a phase took. */
interface Taken {
  seconds: number;
  cpu_seconds: number;
  peak_rss_mb: number;
  [detail: string]: unknown;
}

async function makeCorpus(folder: string, bytes: number, sources: string[]): Promise<void> {
  const documents = (await Array.fromAsync(readDocuments(sources))).map((lines) => lines.join("\n"));
  const words = documents.slice(0, 20_000).join(" ").split(/\s+/);
  const random = new Random(0, 99);
  const encoder = new TextEncoder();
  let written = 0, round = 0;
  let file: Deno.FsFile | undefined, inFile = Infinity;
  for (; written < bytes; round++) {
    const offset = random.at(round, 0).below(documents.length);
    let text: string[] = [];
    for (let i = 0; i < documents.length && written < bytes; i++) {
      random.at(round, i + 1);
      const document = documents[(i * 7919 + offset) % documents.length];
      text.push(document.replace(/\S+/g, (word) => random.uniform() < 0.02 ? random.pick(words) : word));
      if (text.length < 1000 && i + 1 < documents.length) continue;
      if (inFile > FILE_BYTES) {
        file?.close();
        file = Deno.openSync(`${folder}/${String(Math.floor(written / FILE_BYTES)).padStart(3, "0")}.txt`, {
          write: true,
          create: true,
        });
        inFile = 0;
      }
      const chunk = encoder.encode(text.join("\n\n") + "\n\n");
      for (let at = 0; at < chunk.length;) at += file!.writeSync(chunk.subarray(at));
      written += chunk.length;
      inFile += chunk.length;
      text = [];
    }
  }
  file?.close();
}

/** Runs a phase here and prints what it took. */
async function phase(name: string, folder: string, threads: number): Promise<void> {
  const began = performance.now();
  const detail = await PHASES[name](folder, threads);
  const { user, system } = process.cpuUsage();
  const peak = /VmHWM:\s*(\d+)/.exec(Deno.readTextFileSync("/proc/self/status"))?.[1];
  const taken: Taken = {
    seconds: Math.round((performance.now() - began) / 100) / 10,
    cpu_seconds: Math.round((user + system) / 1e5) / 10,
    peak_rss_mb: Math.round(Number(peak) / 1024),
    ...detail,
  };
  console.log(JSON.stringify(taken));
}

const PHASES: Record<string, (folder: string, threads: number) => Promise<Record<string, unknown>>> = {
  "train-tokenizer": async (folder, threads) => {
    const { run } = await import("../cli/commands/train_tokenizer/command.ts");
    const options = { data: [`${folder}/corpus`], output: `${folder}/tokenizer`, "vocab-size": VOCAB_SIZE, threads };
    await run(options, { typed: "bench/large_corpus.ts" });
    return { vocab_size: VOCAB_SIZE };
  },
  shards: async (folder, threads) => {
    const files = await expandPaths([`${folder}/corpus`], "/");
    const tokenizer = await loadTokenizer(`${folder}/tokenizer`);
    const { train, heldOut } = await prepareShards(`${folder}/data`, { files, config: CORPUS_DEFAULTS }, tokenizer, {
      threads,
    });
    using shard = train;
    heldOut[Symbol.dispose]();
    const { tokens, documents, blocks, corpus } = shard.header;
    return { tokens, documents, blocks, bytes: Deno.statSync(shard.path).size, corpus };
  },
  epoch: async (folder) => {
    const tokenizer = await loadTokenizer(`${folder}/tokenizer`);
    using shard = Shard.open(`${folder}/data/train.shard`);
    const options = { ...MASKING_DEFAULTS, ...SAMPLING_DEFAULTS, seed: 0, batch_tokens: 2048 };
    const opening = performance.now();
    using batches = new MlmBatches(shard, tokenizer, options);
    const index_seconds = Math.round((performance.now() - opening) / 100) / 10;
    let count = 0, tokens = 0, masked = 0, longest_ms = 0;
    const reading = performance.now();
    while (batches.epoch < 1) {
      const before = performance.now();
      const batch = batches.next();
      if (count > 0) longest_ms = Math.max(longest_ms, performance.now() - before);
      tokens += batch.input_ids.length;
      masked += batch.labels.length;
      count++;
    }
    const seconds = (performance.now() - reading) / 1000;
    return {
      index_seconds,
      sequences: batches.count,
      batches: count,
      ms_a_batch: Math.round(1e5 * seconds / count) / 100,
      longest_ms: Math.round(longest_ms * 10) / 10,
      fill: Math.round(1e4 * tokens / (count * options.batch_tokens)) / 1e4,
      masked: Math.round(1e4 * masked / tokens) / 1e4,
    };
  },
};

if (Deno.args[0] === "--phase") {
  await phase(Deno.args[1], Deno.args[2], Number(Deno.args[3]));
} else {
  const [folder, gigabytes, ...rest] = Deno.args;
  const threads = /^\d+$/.test(rest[0] ?? "") ? Number(rest.shift()) : navigator.hardwareConcurrency;
  await Deno.mkdir(`${folder}/corpus`, { recursive: true });
  if ([...Deno.readDirSync(`${folder}/corpus`)].length === 0) {
    await makeCorpus(`${folder}/corpus`, Number(gigabytes) * 1e9, rest);
  }
  const bytes = [...Deno.readDirSync(`${folder}/corpus`)].reduce(
    (sum, { name }) => sum + Deno.statSync(`${folder}/corpus/${name}`).size,
    0,
  );
  const result: Record<string, unknown> = { machine: await machine(), threads, corpus_bytes: bytes };
  console.log(`corpus: ${(bytes / 1e9).toFixed(2)} GB`);
  for (const name of Object.keys(PHASES)) {
    const { stdout, success } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "-q", import.meta.filename!, "--phase", name, folder, String(threads)],
      stdout: "piped",
      stderr: "inherit",
    }).output();
    if (!success) Deno.exit(1);
    const taken = JSON.parse(new TextDecoder().decode(stdout).trim().split("\n").pop()!) as Taken;
    result[name] = taken;
    console.log(name, JSON.stringify(taken));
  }
  await Deno.mkdir(`${import.meta.dirname}/results`, { recursive: true });
  await Deno.writeTextFile(`${import.meta.dirname}/results/large_corpus.json`, JSON.stringify(result, null, 2) + "\n");
}
