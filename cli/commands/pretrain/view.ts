/** What `pretrain` says before it trains and when it has: its text, its model, what came of it, what to do next. */

import { program, quoted } from "../../../config/called.ts";
import type { Evaluation, UnigramBaseline } from "../../../config/metric.ts";
import type { ModelConfig } from "../../../config/model_config.ts";
import { clock, counted, grouped, orDash, percent } from "../../../config/numbers.ts";
import type { RunOrigin } from "../../../config/run_config.ts";
import {
  type CorpusCounts,
  LONG,
  PRACTICE_BLANKS,
  type PreparedData,
  type Shard,
  vocabularyFit,
  type WordFit,
} from "../../../data/mod.ts";
import type { EngineDescription } from "../../../ffi/mod.ts";
import { FillMask } from "../../../inference/fill_mask.ts";
import { newHeads } from "../../../model/next_model.ts";
import { beforeAfter, changes, nextStep, readRun, seenText, stageOf } from "../../../report/mod.ts";
import { pretrainingTask } from "../../../tasks/registry.ts";
import type { Tokenizer } from "../../../tokenizer/mod.ts";
import type { TrainResult } from "../../../training/train.ts";
import { corpusFindings } from "../../corpus.ts";
import { bold, isLive, note, terminalSize } from "../../terminal.ts";
import { unknownLine } from "../../unknown_words.ts";
import { filledLines } from "./filled.ts";
import type { Plan } from "./plan.ts";
import { unknownIn } from "./text.ts";

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
  return files.length <= 3
    ? files.join(" ")
    : `${files.slice(0, 2).join(" ")} and ${counted(files.length - 2, "more file")}`;
}

/** Says how much text there is, and what it is like. */
export function sayText(plan: Plan, data: PreparedData, tokenizer: Tokenizer, { entropy }: UnigramBaseline): void {
  const { train, heldOut, reused } = data;
  note(
    `         ${counted(train.header.tokens, "token")} in ${
      counted(train.header.documents, "document")
    } for training, ` +
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

/** Above these shares of the words, a vocabulary fits a text badly: words that are `[UNK]`, and words that are cut to bits. */
const BAD_FIT = { unknown: 0.01, long: 0.1 };
/** Scripts that have fewer of the words than this are not worth a line. */
const LEAST_SHARE = 0.005;

/** Says how well a model's vocabulary fits a new text, and what to do if it does not. */
export function sayFit({ extend }: RunOrigin, text: Shard, tokenizer: Tokenizer): void {
  const fit = vocabularyFit(text, tokenizer);
  if (fit.words === 0) return;
  const line = ({ words, tokens, long }: WordFit) =>
    `${(tokens / words).toFixed(2)} tokens a word, ${percent(long / words)} of the words in ${LONG} pieces or more`;
  note(bold("fit      ") + `${line(fit)}, ${percent(fit.unknown / fit.words)} [UNK]`);
  const scripts = fit.scripts.filter(({ words }) => words >= LEAST_SHARE * fit.words);
  for (const script of scripts) {
    note(`         ${script.script}, ${percent(script.words / fit.words)} of the words: ${line(script)}`);
  }
  const isBad = fit.unknown > BAD_FIT.unknown * fit.words || fit.long > BAD_FIT.long * fit.words;
  const advice = !isBad
    ? "the vocabulary fits this text"
    : extend !== undefined
    ? "that is still many; a larger --extend takes in more words"
    : "the vocabulary was made for other text: --extend 1000, in a new --output, adds tokens of this one first";
  note(`         ${advice}`);
}

/** What guessing gets: loss and accuracy on tokens, accuracy on pairs if there are any. */
export interface Guessing {
  loss: number | null;
  accuracy: number | null;
  nsp: number | undefined;
}

/** Says what is trained, and from where on. */
export function sayModel({ start }: Plan, model: ModelConfig, about: EngineDescription): void {
  note(
    bold("model    ") +
      `${counted(model.num_hidden_layers, "layer")} of ${model.hidden_size}, ${
        grouped(about.parameter_count)
      } parameters; ` +
      `${about.engine} engine, ${about.dtype}, ${about.instruction_set}, ${counted(about.threads, "thread")}`,
  );
  const fresh = newHeads(about.initialized);
  if (fresh !== "") note(`         new, because the model that it goes on from has none: ${fresh}`);
  if (start !== undefined) note(bold("resume   ") + `after step ${grouped(start.step)}`);
}

function passesText(passes: number): string {
  if (passes < 0.05) return "less than 0.1 passes";
  return `${passes < 10 ? passes.toFixed(1) : grouped(Math.round(passes))} passes`;
}

/** Says which recipe a run follows, and what it is made of. */
export function sayRecipe({ training, passes, rate, run }: Plan, model: ModelConfig): void {
  const { recipe = "bert", objective, mlm_probability, final_mlm_probability, dropout, decoder_bias } = training;
  const { inner_initializer_range: range, neighbour_attention = false } = training;
  const share = (rate: number) => `${Math.round(1000 * rate) / 10}%`;
  const masked = final_mlm_probability === undefined || final_mlm_probability === mlm_probability
    ? `${share(mlm_probability)} masked`
    : `${share(mlm_probability)} masked at first, ${share(final_mlm_probability)} at the end`;
  const about = passes === undefined
    ? ""
    : `, because ${passesText(passes)} over the text ${dropout === 0 ? "are few" : "are many"}`;
  const dropped = `dropout ${dropout ?? model.hidden_dropout_prob}${about}`;
  const biased = decoder_bias === undefined ? [] : ["begins with the frequencies of tokens"];
  const wide = range === undefined ? [] : [`deviation ${range} inside layers`];
  const beside = neighbour_attention ? ["heads that look at neighbours"] : [];
  const short = training.warmup_sequence_length === undefined
    ? []
    : [`sequences of ${training.warmup_sequence_length} in the first ${share(training.warmup_sequence_ratio ?? 0)}`];
  const parts = [
    ...biased,
    ...wide,
    ...beside,
    ...short,
    ...(pretrainingTask(objective).masks ? [masked] : []),
    dropped,
    ...(rate === undefined ? [] : [rateText(training.learning_rate!, rate)]),
  ];
  note(
    bold("recipe   ") + `${recipe}${run.from === undefined ? "" : ", for a model that is there"}: ${parts.join("; ")}`,
  );
}

/** Says what came of it, in a few lines. */
export function sayResult({ training }: Plan, result: TrainResult<Evaluation>, guessing: Guessing): void {
  const { state, measured: [evaluation] } = result;
  note("");
  note(
    bold("trained  ") + `${counted(state.step, "step")}, ${counted(state.tokens, "token")}, ${clock(state.elapsed_ms)}`,
  );
  if (evaluation === undefined) note(bold("measured ") + "nothing: no token of the held-out text is predicted");
  else sayEvaluation(evaluation, guessing, pretrainingTask(training.objective).predictions);
}

/** Says what became of the model that a run went on from, on its text and on the reference. */
export async function sayChange({ run, output }: Plan): Promise<void> {
  const both = run.from === undefined ? undefined : beforeAfter(await readRun(output));
  if (both !== undefined) note(bold("change   ") + changes(both));
}

function rateText(learning_rate: number, { share, known }: NonNullable<Plan["rate"]>): string {
  const [of, below] = [share, known].map((part) => `${Math.round(100 * part)}%`);
  return `rate ${learning_rate}, ${of} of that from scratch, because the model's loss is ${below} below guessing`;
}

/** Says how far the run has come, how it fills blanks, where everything is and what to type next. */
export async function sayEnd(plan: Plan, blank: string | undefined): Promise<void> {
  const { output, shown, corpus, training } = plan;
  const run = await readRun(output);
  const judged = stageOf(run), seen = seenText(run);
  if (judged !== undefined) {
    note(bold("verdict  ") + `${judged.stage}: ${judged.why}${seen === undefined ? "" : `; ${seen}`}`);
  }
  note(bold("folder   ") + output);
  note(bold("report   ") + `${output}/report.html`);
  note("");
  if (corpus === "practice" && pretrainingTask(training.objective).masks) await sayPractice(output);
  else {
    const columns = isLive() ? terminalSize().columns : Infinity;
    for (const line of filledLines(run.blanks.at(-1)?.lines ?? [], columns)) note(line);
  }
  const predict = `${program()} predict --model ${quoted(shown)}`;
  const tried = blank === undefined ? predict : `echo ${quoted(blank)} | ${predict}`;
  const next = nextStep(run, quoted(shown));
  if (next === undefined || next.command === predict) {
    note(bold("next     ") + tried);
    return;
  }
  note(bold("next     ") + next.command);
  note(`         ${next.text}`);
  if (blank !== undefined) note(bold("try      ") + tried);
}

/** The practice corpus's sentences, filled. */
async function sayPractice(output: string): Promise<void> {
  using model = await FillMask.open(output, { topK: 3 });
  for (const line of await model.fill(PRACTICE_BLANKS)) {
    const [answers] = line.masks;
    note(`  ${line.sequence}   ${answers.map((a) => `${a.token} ${percent(a.probability)}`).join(", ")}`);
  }
  note("");
}

/** @param what is predicted, in words. */
function sayEvaluation(evaluation: Evaluation, guessing: Guessing, what: string): void {
  const [low, high] = evaluation.accuracy_interval.map(percent);
  note(
    bold("loss     ") +
      `${evaluation.loss.toFixed(3)} nats on held-out ${what} (perplexity ${evaluation.perplexity.toFixed(1)}); ` +
      `guessing by frequency: ${orDash(guessing.loss, (n) => n.toFixed(3))}`,
  );
  note(
    bold("accuracy ") + `${percent(evaluation.accuracy)} of ${grouped(evaluation.masked)} held-out ${what} right ` +
      `(95% interval ${low}–${high}); the commonest token: ${orDash(guessing.accuracy, percent)}`,
  );
  if (evaluation.nsp_accuracy !== undefined) {
    note(
      bold("pairs    ") +
        `${percent(evaluation.nsp_accuracy)} of ${grouped(evaluation.nsp_pairs!)} held-out pairs told right ` +
        `(95% interval ${evaluation.nsp_accuracy_interval!.map(percent).join("–")}); the commoner answer: ` +
        orDash(guessing.nsp, percent),
    );
  }
}
