/** Flags that say where and with what the engine computes. */

import { choice, number, text } from "./flag.ts";

/** `--threads` */
export const THREADS = number(
  { min: 1, max: 1024, integer: true },
  "Threads of the engine, and workers that read text. Changes no result.",
  "all cores",
);

/** `--as` */
export const AS = text(
  "NAME",
  "What to take the model for, where config.json names a class that cloze does not know: a model_type such as bert, or a class such as BertForMaskedLM.",
  "what config.json says",
);

/** `--device` */
export const DEVICE = choice(
  ["cpu", "cuda", "auto"],
  "Where the engine runs: cuda is an NVIDIA GPU, auto takes it where there is one. See cloze doctor.",
  "cpu",
);

/** `--engine` */
export const ENGINE = choice(
  ["fused", "candle"],
  "fused is fast; candle is the same model in plain candle, for checking; deno task candle builds it.",
  "fused",
);

/** `--dtype` of a command that takes `standard` unless told. */
export const dtypeFlag = (standard: string) =>
  choice(
    ["auto", "f32", "bf16"],
    "What activations and products are in; auto is bf16 where the processor is made for it.",
    standard,
  );
