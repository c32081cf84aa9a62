/** `cloze bench`: what to expect of this machine before a long run is started. */

import { SAMPLING_DEFAULTS } from "../../../config/batch_config.ts";
import { ClozeError } from "../../../config/cloze_error.ts";
import { foretoldLoss } from "../../../config/foretold.ts";
import { type Preset, PRESETS } from "../../../config/model_config.ts";
import { FEW_PASSES, RECIPE_MASKS } from "../../../config/recipe.ts";
import { PRESET_TRAINING } from "../../../config/run_config.ts";
import { gemmRate } from "../../../ffi/mod.ts";
import { FAMILIES, newModel } from "../../../model/families.ts";

import { Unigram } from "../../../tasks/unigram.ts";
import { vocabularyReport } from "../../../tokenizer/mod.ts";
import { Crew } from "../../../training/crew.ts";
import { stepRate } from "../../../training/step_rate.ts";
import { checkTextFlags, corpusConfig, corpusFindings, findFiles } from "../../corpus.ts";
import { noteDevice } from "../../device.ts";
import { learnTokenizer } from "../../learn_tokenizer.ts";
import { endProgress, note, printError, progress, writeOut } from "../../terminal.ts";
import type { Call } from "../registry.ts";
import type { BenchOptions } from "./flags.ts";
import { type BenchResult, readable, type Row } from "./view.ts";

export { TABLE } from "./flags.ts";

/** Larger batches change the rate little, and take longer to measure. */
const MOST_TOKENS = 4096;
const VOCAB_SIZE = 8000;
const MAX_SEQUENCE_LENGTH = SAMPLING_DEFAULTS.max_sequence_length;
const DTYPES = ["f32", "bf16"] as const;

/** Runs the command, in one process or in several that share each step. */
export async function run(values: BenchOptions, call: Call): Promise<number> {
  const crew = await Crew.join(call.typed, printError);
  if (crew === undefined) return await bench(values);
  try {
    await crew.greet();
    await crew.equip(values.device ?? "cpu");
    const code = await bench(values, crew);
    await crew.leave();
    return code;
  } catch (error) {
    if (!(error instanceof ClozeError)) return await crew.abort(error);
    await crew.leave(error);
    if (crew.rank > 0) return error.exitCode; // the first one says why
    throw error;
  }
}

/** Measures and, as the first process, tells. */
async function bench({ positionals = [], ...values }: BenchOptions, crew?: Crew): Promise<number> {
  const leads = crew === undefined || crew.rank === 0;
  const data = [...(values.data ?? []), ...positionals];
  if (data.length === 0 && values.budget !== undefined) {
    throw new ClozeError("usage", "--budget says how many passes over a text fit into it: give the text with --data");
  }
  if (crew !== undefined && data.length > 0) {
    throw new ClozeError("usage", "several processes cannot read a text together to bench", {
      hint: "leave out --data",
    });
  }
  const threads = values.threads ?? crew?.threads ?? navigator.hardwareConcurrency;
  if (data.length === 0) checkTextFlags(values, []);
  const corpus = data.length === 0 ? undefined : await corpusTokens(data, values, threads);
  const say = leads ? progress : () => {};
  say("multiplying matrices");
  const gemm: Record<string, number> = {};
  for (const dtype of DTYPES) gemm[dtype] = Math.round(await gemmRate(dtype, threads)); // one at a time: each takes all cores
  const rows: Row[] = [];
  for (const preset of values.preset === undefined ? Object.keys(PRESETS) as Preset[] : [values.preset]) {
    for (const dtype of values.dtype === undefined ? DTYPES : [values.dtype]) {
      say(`training steps of ${preset} in ${dtype}`);
      rows.push(await measure(preset, dtype, threads, values, { corpus, crew }));
    }
  }
  if (!leads) return 0;
  endProgress();
  noteDevice(values.device, rows[0]);
  const result: BenchResult = {
    threads,
    ...(crew === undefined ? {} : { processes: crew.size }),
    architecture: values.architecture ?? FAMILIES[0].model_type,
    gemm_gflops: gemm,
    ...(corpus === undefined ? {} : { corpus }),
    presets: rows,
  };
  await writeOut(values.json === true ? JSON.stringify(result) + "\n" : readable(result, values.budget));
  return 0;
}

/**
 * Tokens of a pass over a corpus with the vocabulary that a run would learn from it: those of the text, and `[CLS]` and
 * `[SEP]` around about as many sequences as a run cuts it into.
 */
async function corpusTokens(data: readonly string[], values: BenchOptions, threads: number) {
  const files = await findFiles(data, values);
  checkTextFlags(values, files);
  const { tokenizer, counts, corpus } = await learnTokenizer({ files, config: corpusConfig(values) }, {
    ...(values["vocab-size"] === undefined ? {} : { vocab_size: values["vocab-size"] }),
    lowercase: false,
    threads,
  });
  note(`read ${corpusFindings(corpus)}`);
  const { tokens, occurrences } = vocabularyReport(tokenizer, counts);
  const { documents } = corpus;
  const room = (values["max-sequence-length"] ?? MAX_SEQUENCE_LENGTH) - 2;
  const sequences = Math.max(documents, Math.round(tokens / room + documents / 2));
  return { tokens: tokens + 2 * sequences, vocab_size: tokenizer.size, entropy: new Unigram(occurrences).entropy ?? 0 };
}

async function measure(
  preset: Preset,
  dtype: "f32" | "bf16",
  threads: number,
  values: BenchOptions,
  { corpus, crew }: { corpus: BenchResult["corpus"] | undefined; crew: Crew | undefined },
): Promise<Row> {
  const config = newModel(preset, values.architecture, corpus?.vocab_size ?? values["vocab-size"] ?? VOCAB_SIZE);
  const { mlm_probability, final_mlm_probability = mlm_probability } = RECIPE_MASKS.fast;
  const rate = await stepRate(config, {
    engine: "fused",
    device: values.device ?? "cpu",
    dtype,
    threads,
    batch_tokens: Math.min(MOST_TOKENS, PRESET_TRAINING[preset].batch_tokens),
    max_sequence_length: values["max-sequence-length"] ?? MAX_SEQUENCE_LENGTH,
    mlm_probability: (mlm_probability + final_mlm_probability) / 2,
    duration_ms: 2000,
    profile: values.profile ?? false,
    ...(crew === undefined ? {} : { crew }),
  });
  const epoch_ms = corpus === undefined ? undefined : corpus.tokens / rate.tokens_per_second * 1000;
  const epochs = epoch_ms === undefined || values.budget === undefined ? undefined : values.budget / epoch_ms;
  const updates = (values.budget ?? 0) / 1000 * rate.tokens_per_second / PRESET_TRAINING[preset].batch_tokens;
  const foretold = epochs === undefined || config.model_type !== FAMILIES[0].model_type
    ? undefined
    : foretoldLoss(preset, { updates, passes: epochs, guessing: corpus!.entropy });
  return {
    preset,
    ...rate,
    state_bytes: 16 * rate.parameter_count,
    ...(epoch_ms === undefined ? {} : { epoch_ms }),
    ...(epochs === undefined ? {} : { epochs, dropout: epochs <= FEW_PASSES ? 0 : config.hidden_dropout_prob }),
    ...(foretold === undefined ? {} : { foretold_loss: foretold }),
  };
}
