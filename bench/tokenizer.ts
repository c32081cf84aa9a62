/**
 * cloze's tokenizer against Hugging Face `tokenizers` at the same work, in one run, alternating; prints tables and writes
 * results/tokenizer_encode.json or results/tokenizer_train.json (bpe_…, unigram_… for those models). Not part of the product.
 * usage: deno run -A bench/tokenizer.ts encode|train DATA_FOLDER [--rounds 3] [--model wordpiece|bpe|unigram]
 *        [--language ko|en] [--lines N]
 *
 * DATA_FOLDER has ko/nsmc.train.txt.gz, en/brown.txt and en/movie_reviews.train.txt.
 *
 * encode: from text in memory to ids, a 30,000-token vocabulary, no special tokens; Korean is the first 170,000 lines.
 * The peer is encode_batch_fast of a list of str. cloze is timed from UTF-8 bytes and from strings, its word cache empty
 * at the start of each round. Threads are rayon's there and workers here; both exist before the clock starts. The workers
 * do what the data workers of `pretrain` do for each sentence, without their files. Beside the time it takes processor time
 * of all threads, which says more where others use the machine.
 * train: from a text file to a vocabulary, each time in a process of its own, whose peak memory is taken; `--lines` takes
 * the first lines of the text.
 */

import process from "node:process";
import { IdBuffer, type Tokenizer, tokenizerFrom } from "../tokenizer/mod.ts";
import { JsonLines, machine, median, peerPython } from "./peers.ts";
import { type Measurement, MODELS, texts } from "./tokenizer_models.ts";
import { train } from "./tokenizer_train.ts";

const HERE = import.meta.dirname!;
const KOREAN_LINES = 170_000;

/** What encoding a text took. */
interface Encoded {
  ms: number;
  /** Processor time of all threads. */
  cpu_ms: number;
  tokens: number;
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

  /** Gives every worker a tokenizer that has seen nothing, and resolves to what encodes with them. */
  async ready(): Promise<() => Promise<number>> {
    await this.#each(() => ({ tokenizer: this.#tokenizer.data }));
    const ends = cuts(this.#bytes, this.#workers.length);
    return async () => {
      const ids = await this.#each<Int32Array>((i) => ({ bytes: this.#bytes, from: ends[i - 1] ?? 0, to: ends[i] }));
      return ids.reduce((sum, { length }) => sum + length, 0);
    };
  }

  close(): void {
    for (const worker of this.#workers) worker.terminate();
  }
}

async function timed(run: () => number | Promise<number>): Promise<Encoded> {
  const start = performance.now(), used = process.cpuUsage();
  const tokens = await run();
  const { user, system } = process.cpuUsage(used);
  return { ms: performance.now() - start, cpu_ms: (user + system) / 1e3, tokens };
}

async function encode({ model, texts, rounds, python, peer: program, scratch }: Measurement) {
  const cores = navigator.hardwareConcurrency, { learner, saved } = MODELS[model];
  const rows = [];
  for (const [language, all] of Object.entries(texts)) {
    const learning = learner();
    learning.addUtf8(all);
    const tokenizer = learning.learn(30_000);
    let bytes = all;
    if (language === "ko") {
      let end = 0;
      for (let line = 0; line < KOREAN_LINES; line++) end = all.indexOf(10, end) + 1;
      bytes = all.slice(0, end);
    }
    const lines = new TextDecoder().decode(bytes).split("\n");
    if (lines[lines.length - 1] === "") lines.pop();
    const [text, vocabulary] = [`${scratch}/${language}.txt`, `${scratch}/${language}.vocab`];
    await Deno.writeFile(text, bytes);
    await Deno.writeTextFile(vocabulary, saved(tokenizer));
    const peer = async (threads: number) => {
      const child = new JsonLines(python, [program, `encode-${model}`, text, vocabulary], {
        RAYON_NUM_THREADS: String(threads),
        TOKENIZERS_PARALLELISM: String(threads > 1),
      });
      await child.ask({});
      return child;
    };
    const fresh = () => tokenizerFrom(tokenizer.data);
    const [one, many] = [await peer(1), await peer(cores)];
    const workers = new Workers(cores, bytes, tokenizer);
    const sides: Record<string, () => Promise<Encoded>> = {
      "cloze, bytes, 1": () => timed(() => encodeBytes(fresh(), bytes)),
      "cloze, strings, 1": () => timed(() => encodeStrings(fresh(), lines)),
      "tokenizers, 1": () => one.ask({}),
      [`cloze, bytes, ${cores}`]: async () => timed(await workers.ready()),
      [`tokenizers, ${cores}`]: () => many.ask({}),
    };
    const taken: Record<string, Encoded[]> = Object.fromEntries(Object.keys(sides).map((name) => [name, []]));
    const tokens = new Set<number>();
    for (let round = -1; round < rounds; round++) {
      for (const [name, run] of Object.entries(sides)) {
        const outcome = await run();
        tokens.add(outcome.tokens);
        if (round >= 0) taken[name].push(outcome); // the first round warms every side up
      }
    }
    workers.close();
    await Promise.all([one.close(), many.close()]);
    if (tokens.size !== 1) throw new Error(`the sides give ${[...tokens].join(", ")} tokens for the same text`);
    const ratios = (what: "ms" | "cpu_ms") => {
      const ratio = (theirs: string, ours: string) =>
        Number(median(taken[theirs].map((side, i) => side[what] / taken[ours][i][what])).toFixed(2));
      return {
        bytes_1: ratio("tokenizers, 1", "cloze, bytes, 1"),
        strings_1: ratio("tokenizers, 1", "cloze, strings, 1"),
        [`bytes_${cores}`]: ratio(`tokenizers, ${cores}`, `cloze, bytes, ${cores}`),
      };
    };
    const all_of = (what: "ms" | "cpu_ms") =>
      Object.fromEntries(
        Object.entries(taken).map(([name, side]) => [name, side.map((each) => Math.round(each[what]))]),
      );
    const row = {
      language,
      megabytes: Number((bytes.length / 1e6).toFixed(1)),
      tokens: [...tokens][0],
      ms: all_of("ms"),
      cpu_ms: all_of("cpu_ms"),
      megabytes_per_second: Object.fromEntries(
        Object.entries(taken).map(([name, side]) => [
          name,
          Number((bytes.length / 1e3 / median(side.map(({ ms }) => ms))).toFixed(1)),
        ]),
      ),
      ratios: ratios("ms"),
      cpu_ratios: ratios("cpu_ms"),
    };
    console.log(row);
    rows.push(row);
  }
  return rows;
}

if (import.meta.main) {
  const [what, folder, ...rest] = Deno.args;
  const option = (name: string, fallback: string) => rest.includes(name) ? rest[rest.indexOf(name) + 1] : fallback;
  const model = option("--model", "wordpiece"), language = option("--language", ""), lines = option("--lines", "");
  if (!folder || (what !== "encode" && what !== "train") || !Object.hasOwn(MODELS, model)) {
    console.error(
      "usage: deno run -A bench/tokenizer.ts encode|train DATA_FOLDER [--rounds 3] [--model wordpiece|bpe|unigram] " +
        "[--language ko|en] [--lines N]",
    );
    Deno.exit(2);
  }
  const rounds = Number(option("--rounds", "3")),
    python = await peerPython(),
    peer = `${HERE}/peers/tokenizers_speed.py`;
  const chosen = Object.entries(await texts(folder)).filter(([name]) => language === "" || name === language);
  const first = (bytes: Uint8Array<ArrayBuffer>) => {
    let end = 0;
    for (let line = 0; line < Number(lines); line++) end = bytes.indexOf(10, end) + 1;
    return lines === "" ? bytes : bytes.slice(0, end);
  };
  const scratch = await Deno.makeTempDir();
  try {
    const measurement: Measurement = {
      model,
      texts: Object.fromEntries(chosen.map(([name, bytes]) => [name, first(bytes)])),
      rounds,
      python,
      peer,
      scratch,
    };
    const rows = await { encode, train }[what](measurement);
    const version = await new Deno.Command(python, { args: ["-c", "import tokenizers;print(tokenizers.__version__)"] })
      .output();
    const result = {
      command: `deno run -A bench/tokenizer.ts ${what} DATA_FOLDER ${rest.join(" ")}`,
      machine: await machine(),
      load_average: Deno.loadavg()[0],
      tokenizers: new TextDecoder().decode(version.stdout).trim(),
      rounds,
      rows,
    };
    const prefix = model === "wordpiece" ? "tokenizer" : model;
    const suffix = (language === "" ? "" : `-${language}`) + (lines === "" ? "" : `-${lines}`);
    await Deno.mkdir(`${HERE}/results`, { recursive: true });
    await Deno.writeTextFile(
      `${HERE}/results/${prefix}_${what}${suffix}.json`,
      JSON.stringify(result, null, 2) + "\n",
    );
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}
