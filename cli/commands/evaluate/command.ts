/** `cloze evaluate`: a model on text, with masks that are always the same; or the score of each line. */

import type { Batch } from "../../../config/batch.ts";
import { MASKING_DEFAULTS, SAMPLING_DEFAULTS } from "../../../config/batch_config.ts";
import { ClozeError } from "../../../config/cloze_error.ts";
import { type BatchOptions, type Shard, unknownOf, UnknownSample } from "../../../data/mod.ts";
import { openEngine } from "../../../inference/open_engine.ts";
import { type ScoredSentence, Scorer } from "../../../inference/scorer.ts";
import { longestText } from "../../../model/families.ts";
import { type ModelFolder, openModelFolder } from "../../../model/model_folder.ts";
import { engineHeads, tokenHeads } from "../../../model/model_heads.ts";
import { bandOf, Breakdown, scriptOf } from "../../../tasks/breakdown.ts";
import { MLM_NSP, nspMajority } from "../../../tasks/mlm_nsp.ts";
import { measuredBy } from "../../../tasks/registry.ts";
import { evaluate, unigramBaseline, UNMEASURED } from "../../../tasks/token_evaluation.ts";
import { Unigram } from "../../../tasks/unigram.ts";
import { unknownCounts } from "../../../tokenizer/mod.ts";
import { answerLines } from "../../answer_lines.ts";
import { inferenceOptions, noteDevice, noteTensors } from "../../device.ts";
import { refuseFlags } from "../../flags/refuse_flags.ts";
import { newestRun, resolve } from "../../paths.ts";
import { note, warn, writeOut } from "../../terminal.ts";
import { noteTokenizer } from "../../tokenizer_notes.ts";
import { checkUnknown } from "../../unknown_words.ts";
import type { EvaluateOptions } from "./flags.ts";
import { evaluateTags } from "./tags.ts";
import { shardOf } from "./text.ts";
import { type Measured, type MeasuredPairs, readable, UNPREDICTED } from "./view.ts";

export { TABLE } from "./flags.ts";

/** Runs the command. */
export async function run({ positionals = [], ...values }: EvaluateOptions): Promise<number> {
  const data = [...(values.data ?? []), ...positionals];
  if (data.length === 0 && values.sentences !== true) {
    throw new ClozeError("usage", "cloze evaluate needs --data PATH…", {
      hint: "give text that the model was not trained on",
    });
  }
  if (values.sentences === true) {
    const others = ["documents", "max-tokens", "max-sequence-length", "allow-unknown"] as const;
    refuseFlags(values, others, "is for a whole text, but --sentences scores each line");
  }
  const path = values.model === undefined ? await newestRun() : resolve(values.model);
  if (values.model === undefined) note(`model: ${path}`);
  const folder = await openModelFolder(path, values);
  noteTokenizer(folder.tokenizer);
  if (values.sentences === true) return await score(folder, values, data);
  if (folder.heads.token_classifier !== null) {
    await evaluateTags(folder, folder.heads.token_classifier.labels, values, data);
    return 0;
  }
  if (folder.heads.classifier !== null) {
    await (await texts()).evaluateTexts(folder, values, data);
    return 0;
  }
  refuseFlags(
    values,
    ["label-column", "pair-column", "label-separator"],
    `is for labels of texts, and ${path} tells none`,
  );
  const result = await measure(folder, values, data);
  if (result.loss === null) {
    warn(`nothing is measured: ${UNPREDICTED}`, "give more text, in words that the vocabulary has");
  }
  await writeOut(values.json === true ? JSON.stringify(result) + "\n" : readable(result, measuredBy(folder.heads)));
  return 0;
}

/** Loaded for models that classify texts only. */
const texts = (): Promise<typeof import("./texts.ts")> => import(new URL("texts.ts", import.meta.url).href);

/** Scores lines as they come. */
async function score(folder: ModelFolder, values: EvaluateOptions, data: string[]): Promise<number> {
  using model = await Scorer.open(folder, inferenceOptions(values));
  noteDevice(values.device, model);
  noteTensors(model.unknownTensors);
  const kind = folder.heads.is_decoder ? "log-likelihood" : "pseudo-log-likelihood";
  if (values.json !== true) note(`${kind} in nats, tokens, sentence`);
  const show = (line: ScoredSentence): string =>
    values.json === true
      ? JSON.stringify(line) + "\n"
      : `${line.score.toFixed(3)}\t${line.tokens.length}\t${line.input}\n`;
  return await answerLines(
    {
      prepare: ({ text }) => model.prepare(text),
      counts: (ids) => unknownCounts(ids, folder.tokenizer),
      answer: async (prepared, inputs) => {
        const scored = await model.scorePrepared(prepared);
        return scored.map((result, i) => show({ input: inputs[i].text, ...result }));
      },
    },
    data,
    values,
    true,
  );
}

async function measure(folder: ModelFolder, values: EvaluateOptions, data: string[]): Promise<Measured> {
  const { config, heads, tokenizer, path } = folder;
  if (!heads.tokens) {
    const what = heads.next_sentence ? "it only tells whether a text follows another" : "it is a bare encoder";
    throw new ClozeError("input", `${path} predicts no tokens: ${what}`, {
      hint: "use a model with a language-model head, such as BertForMaskedLM",
    });
  }
  const task = measuredBy(heads);
  const max_sequence_length = Math.min(values["max-sequence-length"] ?? 128, longestText(config));
  const plain = { ...MASKING_DEFAULTS, ...SAMPLING_DEFAULTS, seed: 0, batch_tokens: 4096, max_sequence_length };
  const options = { ...plain, ...task.options };
  const temporary = await Deno.makeTempDir({ prefix: "cloze-evaluate-" });
  try {
    const unknown = new UnknownSample();
    using shard = await shardOf(data, values, tokenizer, temporary, unknown);
    const found = { counts: unknownOf(shard.counts, tokenizer), causes: unknown.causes(tokenizer) };
    const advice = checkUnknown(found, { from: "model", path: values.model ?? path }, values["allow-unknown"] === true);
    if (advice !== undefined) warn(advice.message, advice.hint);
    // Of [UNK] alone nothing is predicted, not even left to right.
    const hasWords = shard.counts.some((count, id) => count > 0 && !tokenizer.isSpecial(id));
    const batches = hasWords ? task.heldOutBatches(shard, tokenizer, options, values["max-tokens"] ?? 1e6) : [];
    using engine = await openEngine(folder, tokenHeads(heads), task.limits(options), inferenceOptions(values));
    const about = engine.describe();
    noteDevice(values.device, about);
    noteTensors(about.unknown);
    const counts = task.predictedCounts(shard, tokenizer, batches);
    const unigram = new Unigram(counts);
    const byScript = new Breakdown(unigram, (id) => scriptOf(tokenizer.surface(id)));
    const byFrequency = new Breakdown(unigram, (id) => bandOf(unigram.rank(id)));
    const evaluation = await evaluate(engine, batches, (...row) => {
      byScript.add(...row);
      byFrequency.add(...row);
    });
    const baseline = unigramBaseline(counts, batches);
    const pairs = heads.next_sentence ? await measurePairs(folder, values, shard, plain) : {};
    return {
      model: path,
      objective: heads.task,
      words: found.counts.words,
      tokens: found.counts.tokens,
      unknown_words: found.counts.unknown,
      ...(evaluation ?? UNMEASURED),
      ...pairs,
      unigram: baseline,
      most_frequent: unigram.commonest === null
        ? null
        : { token: tokenizer.shown(unigram.commonest), accuracy: baseline.accuracy },
      by_script: byScript.groups,
      by_frequency: byFrequency.groups.sort((a, b) => a.unigram.loss - b.unigram.loss), // the commonest first
    };
  } finally {
    await Deno.remove(temporary, { recursive: true });
  }
}

/** Next-sentence prediction on pairs that are always the same; nothing, with a note, if the text makes none. */
async function measurePairs(
  folder: ModelFolder,
  values: EvaluateOptions,
  shard: Shard,
  plain: BatchOptions,
): Promise<Partial<MeasuredPairs>> {
  const options = { ...plain, ...MLM_NSP.options };
  let batches: Batch[];
  try {
    batches = MLM_NSP.heldOutBatches(shard, folder.tokenizer, options, values["max-tokens"] ?? 1e6);
  } catch (error) {
    if (!(error instanceof ClozeError)) throw error;
    note(`next-sentence prediction is not measured: ${error.message}`);
    return {};
  }
  using engine = await openEngine(folder, engineHeads(folder.heads), MLM_NSP.limits(options), inferenceOptions(values));
  const evaluation = await evaluate(engine, batches), nsp_majority = nspMajority(batches);
  if (evaluation?.nsp_pairs === undefined || nsp_majority === undefined) {
    note("next-sentence prediction is not measured: no token is predicted in the pairs of the text");
    return {};
  }
  const { loss, accuracy, masked } = evaluation;
  return {
    nsp_loss: evaluation.nsp_loss!, // with the pairs, all of them are there
    nsp_accuracy: evaluation.nsp_accuracy!,
    nsp_accuracy_interval: evaluation.nsp_accuracy_interval!,
    nsp_pairs: evaluation.nsp_pairs,
    nsp_majority,
    in_pairs: { loss, accuracy, masked },
  };
}
