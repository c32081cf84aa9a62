/** Whether a `run.json` says what a run can be: a person may have written in it, or someone may have sent it. */

import { BATCHING, MASK_COUNTS, MASKING, ON_INVALID, SEQUENCES } from "../config/batch_config.ts";
import { ClozeError } from "../config/cloze_error.ts";
import { shown } from "../config/json_object.ts";
import { RECIPES } from "../config/recipe.ts";
import { OPTIMIZERS, type PlannedRun, type RunConfig } from "../config/run_config.ts";
import { parseRecordedConfig } from "../model/model_config.ts";
import { PRETRAINING_OBJECTIVES } from "../tasks/registry.ts";

/** What a field may be: the sentence's end, and the test. */
interface Rule {
  expected: string;
  fits: (value: unknown) => boolean;
}

const number = (least: number, most: number, whole = false): Rule => ({
  expected: `a ${whole ? "whole number" : "number"} from ${least} to ${most}`,
  fits: (value) =>
    typeof value === "number" && value >= least && value <= most && (!whole || Number.isSafeInteger(value)),
});
const whole = (least: number, most: number): Rule => number(least, most, true);
const oneOf = (choices: readonly string[]): Rule => ({
  expected: `one of ${choices.join(", ")}`,
  fits: (value) => choices.some((choice) => choice === value),
});
const text: Rule = { expected: "a text", fits: (value) => typeof value === "string" };
const truth: Rule = { expected: "true or false", fits: (value) => typeof value === "boolean" };
const object: Rule = {
  expected: "an object",
  fits: (value) => typeof value === "object" && value !== null && !Array.isArray(value),
};
const texts: Rule = {
  expected: "an array of texts",
  fits: (value) => Array.isArray(value) && value.every((one) => typeof one === "string"),
};
const or = (other: unknown, rule: Rule): Rule => ({
  expected: `${shown(other)} or ${rule.expected}`,
  fits: (value) => value === other || rule.fits(value),
});
/** A field that need not be there. */
const maybe = (rule: Rule): Rule => ({ ...rule, fits: (value) => value === undefined || rule.fits(value) });

/** An extent has one of these. */
const EXTENT: Record<string, Rule> = {
  steps: whole(1, 2 ** 40),
  epochs: number(0, 1e6),
  budget_ms: number(0, 1e13),
};

const share = number(0, 1);
const RATE = number(0, 1e6);
const decay = number(0, 0.999999999);

/** Fields by their path. */
const RULES: Record<string, Rule> = {
  model: object,
  training: object,
  data: object,
  engine: oneOf(["fused", "candle"]),
  dtype: maybe(oneOf(["f32", "bf16", "auto"])),
  tokenizer: maybe(object),
  "tokenizer.path": maybe(text),
  "tokenizer.vocab_size": maybe(or(null, whole(1, 2 ** 28))),
  "tokenizer.lowercase": maybe(truth),
  from: maybe(object),
  "from.path": maybe(text),
  "from.sha256": maybe(text),
  "from.as": maybe(text),
  "from.vocabulary": maybe(whole(1, 2 ** 28)),
  "from.extend": maybe(whole(1, 2 ** 28)),
  extensions: maybe({
    expected: "an array of objects",
    fits: (value) => Array.isArray(value) && value.every((one) => object.fits(one) && object.fits(one.extent)),
  }),
  "training.objective": oneOf(PRETRAINING_OBJECTIVES),
  "training.seed": whole(0, Number.MAX_SAFE_INTEGER),
  "training.extent": object,
  "training.batch_tokens": whole(1, 2 ** 31 - 1),
  "training.micro_batches": maybe({
    expected: "a power of two up to 65536",
    fits: (value) => Number.isInteger(Math.log2(value as number)) && whole(1, 65536).fits(value),
  }),
  "training.micro_batch_tokens": maybe(whole(1, 2 ** 31 - 1)),
  "training.learning_rate": or(null, RATE),
  "training.warmup_ratio": share,
  "training.adam_beta1": decay,
  "training.adam_beta2": decay,
  "training.adam_epsilon": number(0, 1),
  "training.weight_decay": number(0, 1e6),
  "training.max_grad_norm": number(Number.MIN_VALUE, 1e300),
  "training.optimizer": maybe(oneOf(OPTIMIZERS)),
  "training.muon_momentum": maybe(decay),
  "training.recipe": maybe(oneOf(RECIPES)),
  "training.decoder_bias": maybe(oneOf(["unigram"])),
  "training.inner_initializer_range": maybe(number(0, 1e6)),
  "training.neighbour_attention": maybe(truth),
  "training.dropout": maybe(or(null, number(0, 0.9))),
  "training.mlm_probability": share,
  "training.final_mlm_probability": maybe(share),
  "training.masking": oneOf(MASKING),
  "training.mask_count": oneOf(MASK_COUNTS),
  "training.mask_share": share,
  "training.random_share": share,
  "training.max_sequence_length": whole(3, 2 ** 20),
  "training.warmup_sequence_length": maybe(whole(3, 2 ** 20)),
  "training.warmup_sequence_ratio": maybe(share),
  "training.sequences": oneOf(SEQUENCES),
  "training.short_seq_prob": share,
  "training.batching": oneOf(BATCHING),
  "training.static_masking": truth,
  "data.files": or("practice", texts),
  "data.valid_files": maybe(texts),
  "data.reference": maybe(object),
  "data.reference.files": maybe(texts),
  "data.reference.source": maybe(text),
  "data.replay": maybe(object),
  "data.replay.files": maybe(texts),
  "data.replay.source": maybe(text),
  "data.replay.share": maybe(number(1e-6, 0.999999)),
  "data.corpus": object,
  "data.corpus.text_column": text,
  "data.corpus.on_invalid": oneOf(ON_INVALID),
  "data.source": or(null, text),
};

/**
 * @param run with defaults in the place of what older versions did not write
 * @throws {ClozeError} `input`, naming the field.
 */
export function checkRun(run: PlannedRun | RunConfig, path: string): void {
  const check = (field: string, value: unknown, { expected, fits }: Rule) => {
    if (fits(value)) return;
    throw new ClozeError("input", `${path}: ${field} is ${shown(value)}, but has to be ${expected}`, {
      hint: "it is damaged, of another program, or was edited",
    });
  };
  for (const [field, rule] of Object.entries(RULES)) check(field, at(run, field), rule);
  if (run.data.source !== null) check("training.learning_rate", run.training.learning_rate, RATE);
  const extents = [run.training.extent, ...(run.extensions ?? []).map(({ extent }) => extent)];
  for (const extent of extents as unknown as Record<string, unknown>[]) {
    const [name] = Object.keys(extent);
    check("extent", Object.keys(extent).length === 1 ? name : extent, oneOf(Object.keys(EXTENT)));
    check(name, extent[name], EXTENT[name]);
  }
  const read = parseRecordedConfig(JSON.stringify(run.model), `${path}: model`);
  for (const field of Object.keys(read)) {
    check(`model.${field}`, at(run.model, field), {
      expected: "there",
      fits: (value) => value !== undefined && (value !== null || field === "vocab_size"),
    });
  }
}

function at(value: unknown, path: string): unknown {
  return path.split(".").reduce(
    (inner: unknown, name) =>
      object.fits(inner) && Object.hasOwn(inner as object, name) ? (inner as Record<string, unknown>)[name] : undefined,
    value,
  );
}
