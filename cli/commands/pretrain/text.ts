/**
 * What `pretrain` says of its text before it trains on it, and what it refuses: words that the vocabulary cannot write, text
 * in which nothing can be predicted or measured, held-out text that is trained on. Called by the pretrain command.
 */

import { ClozeError } from "../../../config/cloze_error.ts";
import type { MlmBatch } from "../../../config/mlm_batch.ts";
import { type CorpusCounts, makesPairs, type PreparedData, type Shard, unknownOf } from "../../../data/mod.ts";
import { bothCounts, type Tokenizer } from "../../../tokenizer/mod.ts";
import type { UnigramBaseline } from "../../../training/evaluation.ts";
import type { Warning } from "../../../training/metrics.ts";
import { heldOutBatches } from "../../../training/objective_data.ts";
import { nothingHeldOut, repeatedText, seenText, unknownWords } from "../../../training/watchdogs.ts";
import { corpusFindings } from "../../corpus.ts";
import { bold, grouped, note, orDash } from "../../terminal.ts";
import { checkUnknown, unknownLine, type UnknownWords, type Vocabulary } from "../../unknown_words.ts";
import { batchOptions, type Plan } from "./plan.ts";

/** Most held-out tokens that an evaluation looks at. */
const EVALUATION_TOKENS = 1 << 16;

/** Says which files the text is from. */
export function sayFiles({ corpus, valid }: Plan): void {
  const files = corpus === "practice"
    ? "the embedded practice corpus (generated; for trying cloze out)"
    : shortList(corpus.files);
  note(bold("data     ") + files);
  if (valid !== undefined) note(`         held out: ${shortList(valid.files)}`);
}

/** The files, if they are few. */
function shortList(files: readonly string[]): string {
  return files.length <= 3 ? files.join(" ") : `${files.slice(0, 2).join(" ")} and ${files.length - 2} more files`;
}

/**
 * Whether the text can be trained on; what there is to warn of.
 *
 * @param allowed whether text is trained on however many of its words are unknown.
 * @throws {ClozeError} `input` if it cannot.
 */
export function checkText(
  plan: Plan,
  { train, heldOut }: PreparedData,
  tokenizer: Tokenizer,
  allowed: boolean,
): Warning[] {
  if (train.header.tokens === 0) throw new ClozeError("input", "there is not enough text to train on");
  const vocabulary: Vocabulary = { from: plan.tokenizerPath === undefined ? "text" : "tokenizer" };
  const checked = (found: UnknownWords, where?: string) => {
    const advice = checkUnknown(found, vocabulary, allowed, where);
    return advice === undefined ? [] : [unknownWords(advice)];
  };
  const warnings = plan.valid === undefined
    ? checked(unknownIn(train, tokenizer, heldOut))
    : [...checked(unknownIn(train, tokenizer)), ...checked(unknownIn(heldOut, tokenizer), "of --valid")];
  if (!train.counts.some((count, id) => count > 0 && !tokenizer.isSpecial(id))) {
    throw new ClozeError("input", "nothing in the text can be predicted: all of its words became [UNK]", {
      hint: "use a tokenizer that was made for this text, or learn one from it",
    });
  }
  // The practice corpus has few sentences by design, and is no text that one could mend.
  if (plan.corpus === "practice") return warnings;
  const found = [
    repeatedText(train.header.corpus?.duplicate_share ?? 0),
    seenText(heldOut.header.corpus?.in_training ?? 0),
  ];
  return [...warnings, ...found.filter((warning) => warning !== undefined)];
}

/** What became `[UNK]` in a part of the text, or in both. */
function unknownIn(part: Shard, tokenizer: Tokenizer, other?: Shard): UnknownWords {
  const counts = unknownOf(part.counts, tokenizer);
  return {
    counts: other === undefined ? counts : bothCounts(counts, unknownOf(other.counts, tokenizer)),
    causes: part.header.corpus?.unknown,
  };
}

/** The held-out batches, or none, with a warning, if nothing is predicted in them: a measure over nothing is no figure. */
export function measuredBatches(
  { training, valid }: Plan,
  { heldOut }: PreparedData,
  tokenizer: Tokenizer,
): { heldOut: readonly MlmBatch[]; warnings: Warning[] } {
  const { objective } = training;
  const hasBatches = objective !== "mlm+nsp" || makesPairs(heldOut);
  const batches = hasBatches
    ? heldOutBatches(objective, heldOut, tokenizer, batchOptions(training), EVALUATION_TOKENS)
    : [];
  if (batches.some(({ labels }) => labels.length > 0)) return { heldOut: batches, warnings: [] };
  return { heldOut: [], warnings: [nothingHeldOut(heldOut.header, valid !== undefined)] };
}

/** Says how much text there is, and what it is like. */
export function sayText(plan: Plan, data: PreparedData, tokenizer: Tokenizer, { entropy }: UnigramBaseline): void {
  const { train, heldOut, reused } = data;
  note(
    `         ${grouped(train.header.tokens)} tokens in ${grouped(train.header.documents)} documents for training, ` +
      `${grouped(heldOut.header.tokens)} held out${reused ? " (tokenized before)" : ""}`,
  );
  const say = (corpus: CorpusCounts | null, where = "") => {
    if (corpus !== null) note(`         ${where}${corpusFindings(corpus)}`);
  };
  if (plan.corpus !== "practice") say(train.header.corpus);
  if (plan.valid !== undefined) say(heldOut.header.corpus, "held out: ");
  const about = `a vocabulary of ${grouped(tokenizer.size)}; guessing by frequency costs ${
    orDash(entropy, (n) => n.toFixed(2))
  } nats a token`;
  note(bold("tokens   ") + about);
  note(`         ${unknownLine(unknownIn(train, tokenizer, heldOut).counts)}`);
}
