/**
 * Fills the same held-out blanks with any model of an experiment. A blank stands alone in its text: a masked model sees both
 * sides of it, and a left-to-right one its left.
 */

import { type MaskedSequence, packMasked } from "../../../config/batch.ts";
import { ClozeError } from "../../../config/cloze_error.ts";
import { groupsByTokens } from "../../../config/packed_sequences.ts";
import { fixedEvalBatches, Shard } from "../../../data/mod.ts";
import { Random, STREAMS } from "../../../data/rng.ts";
import type { Result } from "../../../experiments/results.ts";
import { answerLimits, openEngine } from "../../../inference/open_engine.ts";
import { openModelFolder } from "../../../model/model_folder.ts";
import { tokenHeads } from "../../../model/model_heads.ts";
import { readRun } from "../../../run/run_record.ts";
import { Tally } from "../../../tasks/tally.ts";
import { Unigram } from "../../../tasks/unigram.ts";
import type { Tokenizer } from "../../../tokenizer/mod.ts";
import { evaluationOptions } from "../../batch_options.ts";
import type { PretrainOptions } from "../pretrain/flags.ts";

/** So many blanks, if the held-out text has as many tokens. */
const BLANKS = 1000;
/** Tokens that the engine takes at once. */
const BATCH_TOKENS = 4096;

/** A text with the place of its blank. */
interface Blank {
  /** With the token that stands there. */
  ids: Int32Array;
  position: number;
}

/** How a model fills the blanks. */
export type Filled = Pick<Result, "accuracy" | "examples" | "commonest" | "loss" | "guessing_loss">;

/**
 * @param run folder of the run that the model is of: it has the held-out text.
 * @throws {ClozeError} `input` if nothing is held out.
 */
export async function fillBlanks(
  model: string,
  run: string,
  { threads, device }: Pick<PretrainOptions, "threads" | "device">,
): Promise<Filled> {
  const folder = await openModelFolder(model);
  const { training } = await readRun(run, () => {});
  using heldOut = Shard.open(`${run}/data/held_out.shard`);
  using train = Shard.open(`${run}/data/train.shard`);
  const blanks = blanksOf(heldOut, folder.tokenizer, { ...evaluationOptions(training), mlm_probability: 0 });
  if (blanks.length === 0) throw new ClozeError("input", "the held-out text has no token to blank");
  const limits = answerLimits(folder, BATCH_TOKENS, 1);
  using engine = await openEngine(folder, tokenHeads(folder.heads), limits, {
    ...(threads === undefined ? {} : { threads }),
    ...(device === undefined ? {} : { device }),
  });
  const { mask } = folder.tokenizer.special;
  const questions = blanks.map((blank) => question(blank, folder.heads.is_decoder, mask));
  const tally = new Tally(), losses: number[] = [];
  for (const group of groupsByTokens(questions, ({ ids }) => ids.length, BATCH_TOKENS)) {
    const { row_loss, row_rank } = await engine.evaluate(packMasked(group));
    tally.addAll(row_loss, row_rank);
    losses.push(...row_loss);
  }
  const { loss, accuracy } = tally.result!;
  const variance = losses.reduce((sum, x) => sum + (x - loss) ** 2, 0) / Math.max(1, losses.length - 1);
  return {
    accuracy,
    examples: blanks.length,
    loss: { mean: loss, error: Math.sqrt(variance / losses.length) },
    ...guessed(blanks, train.counts),
  };
}

/** The same ones whatever the condition and the seed of the run. */
function blanksOf(
  shard: Shard,
  tokenizer: Tokenizer,
  options: Parameters<typeof fixedEvalBatches>[2],
): Blank[] {
  const special = new Set(Object.values(tokenizer.special));
  const texts: { ids: Int32Array; places: number[] }[] = [];
  for (const { input_ids, cu_seqlens } of fixedEvalBatches(shard, tokenizer, options, Infinity)) {
    for (let b = 0; b + 1 < cu_seqlens.length; b++) {
      const ids = input_ids.slice(cu_seqlens[b], cu_seqlens[b + 1]);
      const places = [...ids.keys()].filter((i) => !special.has(ids[i]));
      if (places.length > 0) texts.push({ ids, places });
    }
  }
  const random = new Random(0, STREAMS.evaluation);
  const blanks: Blank[] = [];
  // One of each text, then another of each, until there are enough.
  for (let round = 0; blanks.length < BLANKS && texts.some(({ places }) => places.length > 0); round++) {
    for (const [i, { ids, places }] of texts.entries()) {
      if (places.length === 0 || blanks.length === BLANKS) continue;
      const [position] = places.splice(random.at(round, i).below(places.length), 1);
      blanks.push({ ids, position });
    }
  }
  return blanks;
}

/** A blank as a model is asked for it: the token behind the text on its left, or the one in the place of `[MASK]`. */
function question({ ids, position }: Blank, is_decoder: boolean, mask: number): MaskedSequence {
  const labels = [ids[position]];
  if (is_decoder) return { ids: ids.subarray(0, position), positions: [position - 1], labels };
  const masked = ids.slice();
  masked[position] = mask;
  return { ids: masked, positions: [position], labels };
}

/** What guesses get that look at no text. */
function guessed(blanks: readonly Blank[], counts: Float64Array): Pick<Result, "commonest" | "guessing_loss"> {
  const unigram = new Unigram(counts), tally = new Tally();
  for (const { ids, position } of blanks) tally.add(unigram.loss(ids[position]), unigram.rank(ids[position]));
  const { accuracy, loss } = tally.result!;
  return { commonest: accuracy, guessing_loss: loss };
}
