/**
 * The other texts of a run that goes on from a model: one that is mixed into its updates and one that is measured beside its
 * own. Each has shards of its own in `data/`. Called by the pretrain command.
 */

import type { Batch } from "../../../config/batch.ts";
import { ClozeError } from "../../../config/cloze_error.ts";
import { FROM_DEFAULTS } from "../../../config/from_defaults.ts";
import type { Evaluation } from "../../../config/metric.ts";
import type { PlannedRun, PlannedTraining, RunConfig } from "../../../config/run_config.ts";
import { type PreparedData, prepareShards, type Shard } from "../../../data/mod.ts";
import { comparedMeasure } from "../../../tasks/compared_measure.ts";
import { pretrainingTask } from "../../../tasks/registry.ts";
import { heldOutMeasure } from "../../../tasks/token_evaluation.ts";
import { Unigram } from "../../../tasks/unigram.ts";
import type { Tokenizer } from "../../../tokenizer/mod.ts";
import type { TrainOptions } from "../../../training/train.ts";
import { evaluationOptions } from "../../batch_options.ts";
import { noteOnce } from "../../corpus.ts";
import { bytesPace } from "../../pace.ts";
import { note } from "../../terminal.ts";
import type { Plan } from "./plan.ts";

/** The other texts as shards, open. */
export class OtherShards implements Disposable {
  readonly replay: PreparedData | undefined;
  readonly reference: PreparedData | undefined;

  private constructor(replay: PreparedData | undefined, reference: PreparedData | undefined) {
    this.replay = replay;
    this.reference = reference;
  }

  /** @throws {ClozeError} `input` if a text has changed since the run began, or has nothing in it; `io`. */
  static async open(plan: Plan, tokenizer: Tokenizer, threads: number): Promise<OtherShards> {
    const replay = await otherShards(plan, "replay", tokenizer, threads);
    try {
      return new OtherShards(replay, await otherShards(plan, "reference", tokenizer, threads));
    } catch (error) {
      close(replay);
      throw error;
    }
  }

  /** What the record of a run says of them once they are there. */
  recordOf(
    { replay, reference }: PlannedRun["data"] | RunConfig["data"],
  ): Pick<RunConfig["data"], "replay" | "reference"> {
    return {
      ...(replay === undefined ? {} : { replay: { ...replay, source: this.replay!.source } }),
      ...(reference === undefined ? {} : { reference: { ...reference, source: this.reference!.source } }),
    };
  }

  [Symbol.dispose](): void {
    close(this.replay);
    close(this.reference);
  }
}

function close(data: PreparedData | undefined): void {
  data?.train[Symbol.dispose]();
  data?.heldOut[Symbol.dispose]();
}

async function otherShards(
  { run, output, start }: Plan,
  name: "replay" | "reference",
  tokenizer: Tokenizer,
  threads: number,
): Promise<PreparedData | undefined> {
  const text = run.data[name];
  if (text === undefined) return undefined;
  const data = await prepareShards(
    `${output}/data/${name}`,
    { files: text.files, config: run.data.corpus },
    tokenizer,
    {
      threads,
      onProgress: bytesPace(`tokenizing --${name}`),
      onNote: noteOnce,
      ...(start === undefined || text.source === undefined ? {} : { source: text.source }),
      held_out: 0,
    },
  );
  sayGone(data);
  if (data.train.header.tokens > 0) return data;
  close(data);
  throw new ClozeError("input", `there is no text in the files of --${name}`, { hint: "give other files" });
}

/** Says that a run goes on without the files of its text. */
export function sayGone({ gone }: PreparedData): void {
  if (gone !== undefined) {
    note(`         ${gone} is not there any more; the run goes on with the text as it was tokenized`);
  }
}

/** What there is to measure with. */
interface Measured {
  heldOut: readonly Batch[];
  /** Of the reference text, if there is one. */
  reference: readonly Batch[];
  /** How often each token is to be predicted in the training text. */
  counts: Float64Array;
}

/** What the training loop measures, and what else it does in a run that goes on from a model. */
export function measuring(
  { run }: Plan,
  tokenizer: Tokenizer,
  { heldOut, reference, counts }: Measured,
): Pick<TrainOptions<Evaluation>, "measures" | "measuresFirst" | "alone"> {
  if (run.from === undefined) return { measures: heldOut.length === 0 ? [] : [heldOutMeasure(heldOut)] };
  const unigram = new Unigram(counts);
  const rows = alone(run, tokenizer);
  return {
    measures: heldOut.length === 0 ? [] : [comparedMeasure({ heldOut, reference, unigram, tokenizer })],
    measuresFirst: true,
    ...(rows === undefined ? {} : { alone: rows }),
  };
}

/** The rows of new tokens, which are trained alone at first; none where no tokens were added. */
export function alone({ from }: Plan["run"], tokenizer: Tokenizer): TrainOptions<Evaluation>["alone"] {
  if (from?.extend === undefined) return undefined;
  const { vocabulary } = from;
  return { first: vocabulary, count: tokenizer.size - vocabulary, share: FROM_DEFAULTS.rows_alone };
}

/** Most tokens of the reference that an evaluation looks at. */
const REFERENCE_TOKENS = 1 << 15;

/** The reference's batches: the same ones each time. */
export function referenceBatches(
  training: PlannedTraining,
  reference: Shard | undefined,
  tokenizer: Tokenizer,
): Batch[] {
  if (reference === undefined) return [];
  const task = pretrainingTask(training.objective);
  return task.heldOutBatches(reference, tokenizer, evaluationOptions(training), REFERENCE_TOKENS);
}
