/**
 * The `train` half of bench/tokenizer.ts. Run by itself it is one training: from a text file to a vocabulary.
 * usage: deno run -A bench/tokenizer_train.ts MODEL FILE SIZE OUT
 */

import process from "node:process";
import {
  IdBuffer,
  loadTokenizer,
  type Tokenizer,
  vocabularyReport,
  type WordCounts,
  WordPieceTokenizer,
} from "../tokenizer/mod.ts";
import { median } from "./peers.ts";
import { type Measurement, MODELS } from "./tokenizer_models.ts";

const CHUNK = 1 << 20;

/** What one training took. */
interface Training {
  ms: number;
  cpu_s: number;
  peak_mb: number;
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

/** One training in this process. */
async function trainHere(model: string, file: string, size: number, out: string): Promise<void> {
  const start = performance.now();
  const { learner, saved } = MODELS[model], learning = learner();
  countFile(file, (bytes, from, to) => learning.addUtf8(bytes, from, to));
  const content = saved(learning.learn(size));
  const ms = performance.now() - start, { user, system } = process.cpuUsage();
  await Deno.writeTextFile(out, content);
  const peak = /VmHWM:\s*(\d+)/.exec(Deno.readTextFileSync("/proc/self/status"))?.[1] ?? "0";
  console.log(JSON.stringify({ ms, cpu_s: (user + system) / 1e6, peak_mb: Number(peak) / 1024 }));
}

/** The tokenizer that a side has saved. */
async function opened(out: string, model: string): Promise<Tokenizer> {
  if (model === "wordpiece") return new WordPieceTokenizer((await Deno.readTextFile(out)).trimEnd().split("\n"));
  const folder = await Deno.makeTempDir();
  try {
    await Deno.copyFile(out, `${folder}/tokenizer.json`);
    return await loadTokenizer(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Fertility; for unigram the loss, too, of the best way to write each word: nats a character, of which a mark is one. */
async function fit(out: string, model: string, counts: WordCounts): Promise<Record<string, number>> {
  const tokenizer = await opened(out, model), { fertility, unk_rate } = vocabularyReport(tokenizer, counts);
  const report = { tokens: tokenizer.size, fertility: Number(fertility.toFixed(4)) };
  if (model !== "unigram") return { ...report, unk_rate: Number(unk_rate.toPrecision(3)) };
  const scores: [string, number][] = JSON.parse(await Deno.readTextFile(out)).model.vocab;
  const unknown = Math.min(...scores.map(([, score]) => score)) - 10, ids = new IdBuffer();
  let characters = 0, nats = 0;
  for (let word = 0, start = 0; word < counts.ends.length; start = counts.ends[word++]) {
    const count = counts.counts[word];
    ids.truncate(0);
    tokenizer.encodeWord(counts.bytes, start, counts.ends[word], ids);
    for (let i = start; i < counts.ends[word]; i++) if ((counts.bytes[i] & 0xC0) !== 0x80) characters += count;
    for (const id of ids.view()) nats -= count * (id === tokenizer.special.unk ? unknown : scores[id][1]);
  }
  return { ...report, nats_per_character: Number((nats / characters).toFixed(4)) };
}

async function output(command: string, args: string[]): Promise<Training> {
  const { stdout, stderr, success } = await new Deno.Command(command, { args }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** Both sides by turns, for each text and size. */
export async function train({ model, texts, rounds, python, peer, scratch }: Measurement) {
  const rows = [];
  for (const [language, bytes] of Object.entries(texts)) {
    const file = `${scratch}/${language}.txt`;
    await Deno.writeFile(file, bytes);
    const counted = MODELS[model].learner();
    counted.addUtf8(bytes);
    for (const size of MODELS[model].sizes) {
      const sides = {
        cloze: (out: string) =>
          output(Deno.execPath(), ["run", "-qA", import.meta.filename!, model, file, String(size), out]),
        tokenizers: (out: string) => output(python, [peer, `train-${model}`, file, String(size), out]),
      };
      const results: Record<keyof typeof sides, Training[]> = { cloze: [], tokenizers: [] };
      for (let round = 0; round < rounds; round++) {
        for (const side of ["cloze", "tokenizers"] as const) {
          results[side].push(await sides[side](`${scratch}/${side}.vocab`));
        }
      }
      const summary = async (side: keyof typeof sides) => ({
        seconds: results[side].map(({ ms }) => Number((ms / 1e3).toFixed(2))),
        cpu_seconds: results[side].map(({ cpu_s }) => Number(cpu_s.toFixed(2))),
        peak_mb: Math.round(median(results[side].map(({ peak_mb }) => peak_mb))),
        ...await fit(`${scratch}/${side}.vocab`, model, counted.words),
      });
      const [cloze, tokenizers] = [await summary("cloze"), await summary("tokenizers")];
      const ratio = (what: "seconds" | "cpu_seconds") =>
        Number(median(tokenizers[what].map((s, i) => s / cloze[what][i])).toFixed(1));
      const row = { language, size, ratio: ratio("seconds"), cpu_ratio: ratio("cpu_seconds"), cloze, tokenizers };
      console.log(row);
      rows.push(row);
    }
  }
  return rows;
}

if (import.meta.main) {
  const [model, file, size, out] = Deno.args;
  await trainHere(model, file, Number(size), out);
}
