/**
 * cloze's tokenizer against Hugging Face `tokenizers` at the same work, in one run, alternating; prints tables and writes
 * results/tokenizer_encode.json or results/tokenizer_train.json (unigram_… for --model unigram). Not part of the product.
 * usage: deno run -A bench/tokenizer.ts encode|train DATA_FOLDER [--rounds 3] [--model wordpiece|unigram]
 *
 * DATA_FOLDER has ko/nsmc.train.txt.gz, en/brown.txt and en/movie_reviews.train.txt.
 *
 * encode: from text in memory to ids, a 30,000-token vocabulary, no special tokens; Korean is the first 170,000 lines.
 * The peer is encode_batch_fast of a list of str. cloze is timed from UTF-8 bytes and from strings, its word cache empty
 * at the start of each round. Threads are rayon's there and workers here; both exist before the clock starts.
 * train: from a text file to a vocabulary, each time in a process of its own, whose peak memory is taken.
 */

import {
  IdBuffer,
  learnUnigram,
  loadTokenizer,
  type Tokenizer,
  tokenizerFiles,
  tokenizerFrom,
  unigramWords,
  vocabularyReport,
  VocabularyTrainer,
  wordCounter,
  type WordCounts,
  WordPieceTokenizer,
} from "../tokenizer/mod.ts";
import { JsonLines, machine, median, peerPython } from "./peers.ts";

/** What is measured. */
type Model = "wordpiece" | "unigram";

const HERE = import.meta.dirname!;
const PEER = `${HERE}/peers/tokenizers_speed.py`;
const CHUNK = 1 << 20;
const KOREAN_LINES = 170_000;

async function texts(folder: string): Promise<Record<"ko" | "en", Uint8Array<ArrayBuffer>>> {
  const zipped = (await Deno.open(`${folder}/ko/nsmc.train.txt.gz`)).readable;
  const ko = await new Response(zipped.pipeThrough(new DecompressionStream("gzip"))).bytes();
  const files = ["brown.txt", "movie_reviews.train.txt"].map((name) => Deno.readFileSync(`${folder}/en/${name}`));
  return { ko, en: new Uint8Array(await new Blob(files).arrayBuffer()) };
}

/** Where each of `parts` ranges ends: at a line end. */
function cuts(bytes: Uint8Array, parts: number): number[] {
  return Array.from({ length: parts }, (_, i) => {
    const end = Math.floor(bytes.length * (i + 1) / parts);
    return end === bytes.length ? end : bytes.indexOf(10, end) + 1;
  });
}

function encodeBytes(tokenizer: Tokenizer, bytes: Uint8Array): number {
  const ids = new IdBuffer();
  for (let from = 0; from < bytes.length;) {
    const end = bytes.indexOf(10, from);
    const to = end < 0 ? bytes.length : end;
    tokenizer.encodeUtf8(bytes, from, to, ids);
    from = to + 1;
  }
  return ids.length;
}

function encodeStrings(tokenizer: Tokenizer, lines: readonly string[]): number {
  let tokens = 0;
  for (const line of lines) {
    const ids: number[] = [];
    tokenizer.encodeIds(line, ids);
    tokens += ids.length;
  }
  return tokens;
}

/** Workers that each encode their range of a shared text. */
class Workers {
  readonly #workers: Worker[];
  readonly #bytes: Uint8Array<SharedArrayBuffer>;
  readonly #tokenizer: Tokenizer;

  constructor(count: number, bytes: Uint8Array, tokenizer: Tokenizer) {
    this.#bytes = new Uint8Array(new SharedArrayBuffer(bytes.length));
    this.#bytes.set(bytes);
    this.#tokenizer = tokenizer;
    const url = new URL("./tokenizer_worker.ts", import.meta.url);
    this.#workers = Array.from({ length: count }, () => new Worker(url, { type: "module" }));
  }

  #each<T>(message: (i: number) => unknown): Promise<T[]> {
    return Promise.all(this.#workers.map((worker, i) =>
      new Promise<T>((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = (event) => reject(new Error(event.message));
        worker.postMessage(message(i));
      })
    ));
  }

  async encode(): Promise<{ ms: number; tokens: number }> {
    await this.#each(() => ({ tokenizer: this.#tokenizer.data }));
    const ends = cuts(this.#bytes, this.#workers.length);
    const start = performance.now();
    const ids = await this.#each<Int32Array>((i) => ({ bytes: this.#bytes, from: ends[i - 1] ?? 0, to: ends[i] }));
    return { ms: performance.now() - start, tokens: ids.reduce((sum, { length }) => sum + length, 0) };
  }

  close(): void {
    for (const worker of this.#workers) worker.terminate();
  }
}

function timed(run: () => number): { ms: number; tokens: number } {
  const start = performance.now();
  const tokens = run();
  return { ms: performance.now() - start, tokens };
}

/** The tokenizer that both sides encode with. */
function learned(model: Model, bytes: Uint8Array): Tokenizer {
  if (model === "wordpiece") {
    const trainer = new VocabularyTrainer();
    trainer.addUtf8(bytes);
    return new WordPieceTokenizer(trainer.train(30_000));
  }
  const counter = wordCounter(unigramWords({ lowercase: false }));
  counter.addUtf8(bytes);
  return learnUnigram(counter.words, { lowercase: false, vocab_size: 30_000 });
}

async function encode(model: Model, folder: string, rounds: number, python: string, scratch: string) {
  const cores = navigator.hardwareConcurrency;
  const rows = [];
  for (const [language, all] of Object.entries(await texts(folder))) {
    const tokenizer = learned(model, all);
    let bytes = all;
    if (language === "ko") {
      let end = 0;
      for (let line = 0; line < KOREAN_LINES; line++) end = all.indexOf(10, end) + 1;
      bytes = all.slice(0, end);
    }
    const lines = new TextDecoder().decode(bytes).split("\n");
    if (lines[lines.length - 1] === "") lines.pop();
    const [text, vocabulary] = [`${scratch}/${language}.txt`, `${scratch}/${language}.vocab.txt`];
    await Deno.writeFile(text, bytes);
    const content = model === "wordpiece"
      ? tokenizer.vocabulary.join("\n") + "\n"
      : tokenizerFiles(tokenizer, 512)["tokenizer.json"];
    await Deno.writeTextFile(vocabulary, content);
    const peer = async (threads: number) => {
      const child = new JsonLines(python, [PEER, `encode-${model}`, text, vocabulary], {
        RAYON_NUM_THREADS: String(threads),
        TOKENIZERS_PARALLELISM: String(threads > 1),
      });
      await child.ask({});
      return child;
    };
    const fresh = () => tokenizerFrom(tokenizer.data);
    const [one, many] = [await peer(1), await peer(cores)];
    const workers = new Workers(cores, bytes, tokenizer);
    const sides = {
      "cloze, bytes, 1": () => Promise.resolve(timed(() => encodeBytes(fresh(), bytes))),
      "cloze, strings, 1": () => Promise.resolve(timed(() => encodeStrings(fresh(), lines))),
      "tokenizers, 1": () => one.ask<{ ms: number; tokens: number }>({}),
      [`cloze, bytes, ${cores}`]: () => workers.encode(),
      [`tokenizers, ${cores}`]: () => many.ask<{ ms: number; tokens: number }>({}),
    };
    const times: Record<string, number[]> = Object.fromEntries(Object.keys(sides).map((name) => [name, []]));
    const tokens = new Set<number>();
    for (let round = -1; round < rounds; round++) {
      for (const [name, run] of Object.entries(sides)) {
        const outcome = await run();
        tokens.add(outcome.tokens);
        if (round >= 0) times[name].push(Math.round(outcome.ms)); // the first round warms every side up
      }
    }
    workers.close();
    await Promise.all([one.close(), many.close()]);
    if (tokens.size !== 1) throw new Error(`the sides give ${[...tokens].join(", ")} tokens for the same text`);
    const ratio = (theirs: string, ours: string) =>
      Number(median(times[theirs].map((ms, i) => ms / times[ours][i])).toFixed(1));
    const row = {
      language,
      megabytes: Number((bytes.length / 1e6).toFixed(1)),
      tokens: [...tokens][0],
      ms: times,
      megabytes_per_second: Object.fromEntries(
        Object.entries(times).map(([name, ms]) => [name, Number((bytes.length / 1e3 / median(ms)).toFixed(1))]),
      ),
      ratio_bytes_1: ratio("tokenizers, 1", "cloze, bytes, 1"),
      ratio_strings_1: ratio("tokenizers, 1", "cloze, strings, 1"),
      [`ratio_bytes_${cores}`]: ratio(`tokenizers, ${cores}`, `cloze, bytes, ${cores}`),
    };
    console.log(row);
    rows.push(row);
  }
  return rows;
}

/** Counts the words of a file, chunk by chunk. */
function countFile(file: string, add: (bytes: Uint8Array, from: number, to: number) => void): void {
  using source = Deno.openSync(file);
  const buffer = new Uint8Array(2 * CHUNK);
  let length = 0;
  for (;;) {
    const read = source.readSync(buffer.subarray(length, length + CHUNK));
    if (read === null) break;
    length += read;
    const end = buffer.lastIndexOf(10, length - 1) + 1;
    add(buffer, 0, end);
    buffer.copyWithin(0, end, length);
    length -= end;
  }
  add(buffer, 0, length);
}

/** One training in this process: from the file to the vocabulary. */
async function trainHere(model: Model, file: string, size: number, out: string): Promise<void> {
  const start = performance.now();
  let content: string;
  if (model === "wordpiece") {
    const trainer = new VocabularyTrainer();
    countFile(file, (bytes, from, to) => trainer.addUtf8(bytes, from, to));
    content = trainer.train(size).join("\n") + "\n";
  } else {
    const counter = wordCounter(unigramWords({ lowercase: false }));
    countFile(file, (bytes, from, to) => counter.addUtf8(bytes, from, to));
    const tokenizer = learnUnigram(counter.words, { lowercase: false, vocab_size: size });
    content = tokenizerFiles(tokenizer, 512)["tokenizer.json"];
  }
  const ms = performance.now() - start, used = cpuSeconds();
  await Deno.writeTextFile(out, content);
  const peak = /VmHWM:\s*(\d+)/.exec(Deno.readTextFileSync("/proc/self/status"))?.[1] ?? "0";
  console.log(JSON.stringify({ ms, cpu_s: used, peak_mb: Number(peak) / 1024 }));
}

/** Processor time of this process with its threads. */
function cpuSeconds(): number {
  const fields = Deno.readTextFileSync("/proc/self/stat").replace(/^.*\) /, "").split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Fertility; for unigram the loss, too, of the best way to write each word: nats a character, of which a mark is one. */
async function fit(out: string, model: Model, counts: WordCounts): Promise<Record<string, number>> {
  if (model === "wordpiece") {
    const lines = (await Deno.readTextFile(out)).trimEnd().split("\n");
    const { fertility, unk_rate } = vocabularyReport(new WordPieceTokenizer(lines), counts);
    return {
      tokens: lines.length,
      fertility: Number(fertility.toFixed(4)),
      unk_rate: Number(unk_rate.toPrecision(3)),
    };
  }
  const folder = await Deno.makeTempDir();
  try {
    await Deno.copyFile(out, `${folder}/tokenizer.json`);
    const tokenizer = await loadTokenizer(folder), ids = new IdBuffer();
    const scores: [string, number][] = JSON.parse(await Deno.readTextFile(out)).model.vocab;
    const unknown = Math.min(...scores.map(([, score]) => score)) - 10;
    let words = 0, tokens = 0, characters = 0, nats = 0;
    for (let word = 0, start = 0; word < counts.ends.length; start = counts.ends[word++]) {
      const count = counts.counts[word];
      ids.truncate(0);
      tokenizer.encodeWord(counts.bytes, start, counts.ends[word], ids);
      words += count;
      tokens += count * ids.length;
      for (let i = start; i < counts.ends[word]; i++) if ((counts.bytes[i] & 0xC0) !== 0x80) characters += count;
      for (const id of ids.view()) nats -= count * (id === tokenizer.special.unk ? unknown : scores[id][1]);
    }
    return {
      tokens: scores.length,
      fertility: Number((tokens / words).toFixed(4)),
      nats_per_character: Number((nats / characters).toFixed(4)),
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

interface Training {
  ms: number;
  cpu_s: number;
  peak_mb: number;
}

async function output(command: string, args: string[]): Promise<Training> {
  const { stdout, stderr, success } = await new Deno.Command(command, { args }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

async function train(model: Model, folder: string, rounds: number, python: string, scratch: string) {
  const rows = [];
  for (const [language, bytes] of Object.entries(await texts(folder))) {
    const file = `${scratch}/${language}.txt`;
    await Deno.writeFile(file, bytes);
    const counted = wordCounter(model === "wordpiece" ? undefined : unigramWords({ lowercase: false }));
    counted.addUtf8(bytes);
    for (const size of model === "wordpiece" ? [8000, 30_000] : [4000, 16_000]) {
      const sides = {
        cloze: (out: string) =>
          output(Deno.execPath(), ["run", "-qA", `${HERE}/tokenizer.ts`, "train-here", file, String(size), out, model]),
        tokenizers: (out: string) => output(python, [PEER, `train-${model}`, file, String(size), out]),
      };
      const results: Record<keyof typeof sides, Training[]> = { cloze: [], tokenizers: [] };
      for (let round = 0; round < rounds; round++) {
        for (const side of ["cloze", "tokenizers"] as const) {
          results[side].push(await sides[side](`${scratch}/${side}.vocab.txt`));
        }
      }
      const summary = async (side: keyof typeof sides) => {
        return {
          seconds: results[side].map(({ ms }) => Number((ms / 1e3).toFixed(2))),
          peak_mb: Math.round(median(results[side].map(({ peak_mb }) => peak_mb))),
          cpu_seconds: results[side].map(({ cpu_s }) => Number(cpu_s.toFixed(1))),
          ...await fit(`${scratch}/${side}.vocab.txt`, model, counted.words),
        };
      };
      const [cloze, tokenizers] = [await summary("cloze"), await summary("tokenizers")];
      const row = {
        language,
        size,
        ratio: Number(median(tokenizers.seconds.map((s, i) => s / cloze.seconds[i])).toFixed(1)),
        cloze,
        tokenizers,
      };
      console.log(row);
      rows.push(row);
    }
  }
  return rows;
}

if (import.meta.main) {
  const [what, folder, ...rest] = Deno.args;
  if (what === "train-here") {
    await trainHere(rest[2] as Model, folder, Number(rest[0]), rest[1]);
    Deno.exit(0);
  }
  if (!folder || (what !== "encode" && what !== "train")) {
    console.error("usage: deno run -A bench/tokenizer.ts encode|train DATA_FOLDER [--rounds 3]");
    Deno.exit(2);
  }
  const option = (name: string, fallback: string) => rest.includes(name) ? rest[rest.indexOf(name) + 1] : fallback;
  const rounds = Number(option("--rounds", "3")), model = option("--model", "wordpiece") as Model;
  const python = await peerPython();
  const scratch = await Deno.makeTempDir();
  try {
    const rows = await { encode, train }[what](model, folder, rounds, python, scratch);
    const version = await new Deno.Command(python, { args: ["-c", "import tokenizers;print(tokenizers.__version__)"] })
      .output();
    const result = {
      command: `deno run -A bench/tokenizer.ts ${what} DATA_FOLDER --rounds ${rounds} --model ${model}`,
      machine: await machine(),
      tokenizers: new TextDecoder().decode(version.stdout).trim(),
      rounds,
      rows,
    };
    await Deno.writeTextFile(
      `${HERE}/results/${model === "wordpiece" ? "tokenizer" : model}_${what}.json`,
      JSON.stringify(result, null, 2) + "\n",
    );
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}
