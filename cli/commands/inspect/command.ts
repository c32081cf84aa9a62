/** `cloze inspect`: the packed and masked batches that a run sees, for people on the terminal and for programs in a file. */

import { ClozeError } from "../../../config/cloze_error.ts";
import type { MlmBatch } from "../../../config/mlm_batch.ts";
import type { PretrainingObjective } from "../../../config/objective.ts";
import { PRESET_TRAINING, VERSION } from "../../../config/run_config.ts";
import { type BatchOptions, prepareShards, Shard, tokenizerHash, writeBatches } from "../../../data/mod.ts";
import type { Tokenizer } from "../../../tokenizer/mod.ts";
import { exists } from "../../../training/files.ts";
import { trainingBatches } from "../../../training/objective_data.ts";
import type { BatchStream } from "../../../training/train.ts";
import { batchOptions, maskingOf, samplingOf } from "../../batch_options.ts";
import { checkedTokenizer } from "../../checked_tokenizer.ts";
import { corpusConfig, corpusFiles, noteFindings, noteOnce, saveStdin } from "../../corpus.ts";
import { refuseFlags } from "../../flags/refuse_flags.ts";
import { bytesPace } from "../../pace.ts";
import { resolve } from "../../paths.ts";
import { endProgress, grouped, note, painter, percent, progress, size, writeOut } from "../../terminal.ts";
import { readRun } from "../run_folder.ts";
import type { InspectOptions } from "./flags.ts";

/** Runs the command. */
export async function run({ positionals = [], ...values }: InspectOptions): Promise<number> {
  const data = [...(values.data ?? []), ...positionals];
  if ((values.model === undefined) === (data.length === 0)) {
    throw new ClozeError("usage", "cloze inspect needs either --model DIR or --data PATH… with --tokenizer PATH");
  }
  if (values.force === true && values.export === undefined) {
    throw new ClozeError("usage", "--force is for --export: without it no file is written");
  }
  if (values.export !== undefined) refuseFlags(values, ["json"], "is for what is shown, but --export writes to a file");
  if (values.pairs !== true) refuseFlags(values, ["short-seq-prob"], "is for --pairs");
  if (values.export !== undefined && values.force !== true && await exists(resolve(values.export))) {
    throw new ClozeError("input", `${resolve(values.export)} exists`, {
      hint: "give another file with --export, or --force to replace it",
    });
  }
  if (values.model !== undefined) return await inspectRun(values.model, values);
  if (values.tokenizer === undefined) {
    throw new ClozeError("usage", "cloze inspect --data needs --tokenizer PATH", {
      hint: "learn one with: deno run train-tokenizer",
    });
  }
  const tokenizer = await checkedTokenizer(resolve(values.tokenizer));
  const options = optionsOf(values);
  const temporary = await Deno.makeTempDir({ prefix: "cloze-inspect-" });
  try {
    const { files, stdin } = await corpusFiles(data, values, temporary);
    if (stdin !== undefined) await saveStdin(stdin, values.format);
    const { train, heldOut } = await prepareShards(temporary, { files, config: corpusConfig(values) }, tokenizer, {
      threads: values.threads ?? navigator.hardwareConcurrency,
      onProgress: bytesPace("tokenizing"),
      onNote: noteOnce,
    });
    endProgress();
    heldOut[Symbol.dispose]();
    using shard = train;
    noteFindings(shard.header.corpus);
    return await show(shard, tokenizer, "mlm", options, values);
  } finally {
    await Deno.remove(temporary, { recursive: true });
  }
}

async function inspectRun(model: string, values: InspectOptions): Promise<number> {
  const other = Object.keys(values).find((name) => !["model", "batches", "export", "force", "json"].includes(name));
  if (other !== undefined) {
    throw new ClozeError("usage", `--model takes everything from the run, but --${other} is given too`, {
      hint: "use --data and --tokenizer to see what other flags would do",
    });
  }
  const folder = resolve(model);
  const { training } = await readRun(folder);
  const tokenizer = await checkedTokenizer(folder);
  using shard = Shard.open(`${folder}/data/train.shard`);
  return await show(shard, tokenizer, training.objective, batchOptions(training), values);
}

/** What a run with these flags would do. */
function optionsOf(values: InspectOptions): BatchOptions {
  const sampling = samplingOf(values);
  return {
    ...maskingOf(values),
    ...sampling,
    ...(values.pairs === true ? { sequences: "pair" as const } : {}),
    seed: values.seed ?? 0,
    batch_tokens: Math.max(values["batch-tokens"] ?? PRESET_TRAINING.tiny.batch_tokens, sampling.max_sequence_length),
  };
}

async function show(
  shard: Shard,
  tokenizer: Tokenizer,
  objective: PretrainingObjective,
  options: BatchOptions,
  values: InspectOptions,
): Promise<number> {
  if (shard.header.tokens === 0) throw new ClozeError("input", "there is not enough text to make batches of");
  using batches = trainingBatches(objective, shard, tokenizer, options);
  const most = values.batches ?? (values.export === undefined ? 1 : Infinity);
  if (values.export !== undefined) {
    const path = resolve(values.export);
    const metadata = {
      cloze_version: VERSION,
      source: shard.header.source,
      tokenizer: tokenizerHash(tokenizer),
      options: JSON.stringify(options),
    };
    const written = await writeBatches(path, upTo(batches, most), metadata);
    note(`wrote ${path}: ${grouped(written.batches)} batches, ${size(written.bytes)}`);
    return 0;
  }
  if (objective === "clm") note("left to right: nothing is masked, every token predicts the next one");
  let number = 0;
  for (let batch of upTo(batches, most)) {
    if (objective === "clm") batch = { ...batch, masked_positions: new Int32Array(), labels: new Int32Array() };
    await writeOut(values.json === true ? json(batch, number, tokenizer) : readable(batch, number, tokenizer, options));
    number++;
  }
  return 0;
}

/** The batches from the beginning on: so many, or those of the first epoch. */
function* upTo(batches: BatchStream, most: number): Generator<MlmBatch> {
  for (let n = 0; n < most && (most < Infinity || batches.epoch < 1); n++) {
    if (n % 100 === 0) progress(`batch ${grouped(n)}`);
    yield batches.next();
  }
}

/** A sequence of a batch, as tokens. */
interface Shown {
  tokens: string[];
  /** Where the second segment begins, if there is one. */
  second: number | undefined;
  /** What stood at a position before. */
  labels: Map<number, string>;
  next_sentence_label: number | undefined;
}

function* sequencesOf(batch: MlmBatch, tokenizer: Tokenizer): Generator<Shown> {
  let masked = 0;
  for (let b = 0; b + 1 < batch.cu_seqlens.length; b++) {
    const [from, to] = [batch.cu_seqlens[b], batch.cu_seqlens[b + 1]];
    const labels = new Map<number, string>();
    for (; batch.masked_positions[masked] < to; masked++) {
      labels.set(batch.masked_positions[masked] - from, tokenizer.tokenOf(batch.labels[masked]));
    }
    const second = batch.token_type_ids.subarray(from, to).indexOf(1);
    yield {
      tokens: Array.from(batch.input_ids.subarray(from, to), (id) => tokenizer.tokenOf(id)),
      second: second < 0 ? undefined : second,
      labels,
      next_sentence_label: batch.sequence_labels[b],
    };
  }
}

function json(batch: MlmBatch, number: number, tokenizer: Tokenizer): string {
  return Array.from(
    sequencesOf(batch, tokenizer),
    ({ tokens, second, labels, next_sentence_label }, sequence) =>
      JSON.stringify({
        batch: number,
        sequence,
        tokens,
        ...(second === undefined ? {} : { second_segment: second, next_sentence_label }),
        masked_positions: [...labels.keys()],
        labels: [...labels.values()],
      }) + "\n",
  ).join("");
}

const PERSON_COLUMNS = 100;

function readable(batch: MlmBatch, number: number, tokenizer: Tokenizer, options: BatchOptions): string {
  const { bold, dim, cyan, red, green } = painter(Deno.stdout);
  const lines: string[] = [];
  const { mask, ...others } = tokenizer.names, own = Object.values(others);
  const counts = { masked: 0, replaced: 0, kept: 0 };
  const paint = (token: string, label: string | undefined): { text: string; width: number } => {
    if (label === undefined) {
      return { text: own.includes(token) ? dim(token) : token, width: columns(token) };
    }
    const what = token === mask ? "masked" : token === label ? "kept" : "replaced";
    counts[what]++;
    const note = what === "kept" ? "‹kept›" : `‹${label}›`;
    const colour = { masked: cyan, replaced: red, kept: green }[what];
    return { text: colour(bold(token)) + colour(note), width: columns(token + note) };
  };
  const sequences = [...sequencesOf(batch, tokenizer)];
  sequences.forEach(({ tokens, second, labels, next_sentence_label }, b) => {
    const pair = next_sentence_label === undefined ? "" : next_sentence_label === 0 ? ", next" : ", random next";
    lines.push("", bold(`sequence ${b}`) + dim(`  ${tokens.length} tokens, ${labels.size} chosen${pair}`));
    let line = "", width = 0;
    tokens.forEach((token, i) => {
      const painted = paint(token, labels.get(i));
      if (i > 0 && (width + 1 + painted.width > PERSON_COLUMNS || i === second)) {
        lines.push(line);
        [line, width] = ["", 0];
      }
      line += line === "" ? painted.text : ` ${painted.text}`;
      width += painted.width + 1;
    });
    lines.push(line);
  });
  const tokens = batch.input_ids.length;
  const chosen = batch.labels.length;
  const head = `${bold(`batch ${number}`)}  ${sequences.length} sequences, ` +
    `${grouped(tokens)} of ${grouped(options.batch_tokens)} tokens (${percent(tokens / options.batch_tokens)} full), ` +
    `${grouped(chosen)} chosen (${percent(chosen / tokens)}): ${cyan(`${counts.masked} ${mask}‹was›`)}, ` +
    `${red(`${counts.replaced} replaced‹was›`)}, ${green(`${counts.kept} kept‹kept›`)}`;
  return [head, ...lines, "", ""].join("\n");
}

/** Columns that a text takes on a terminal: Hangul, ideographs and kana take two. */
function columns(text: string): number {
  let width = 0;
  for (const character of text) {
    width += /[\u1100-\u115F\u2E80-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFF00-\uFF60]/.test(character) ? 2 : 1;
  }
  return width;
}
