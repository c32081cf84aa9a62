/** A pipeline tokenizer → its files, as Hugging Face has them. Used by `tokenizer_files.ts`. */

import type { Json } from "../json_fields.ts";
import { modelKind } from "./models.ts";
import type { PipelineTokenizer } from "./tokenizer.ts";

/** Steps as a component of tokenizer.json. */
function component(steps: readonly Record<string, Json>[], key: string): Json {
  if (steps.length === 0) return null;
  return steps.length === 1 ? steps[0] : { type: "Sequence", [key]: steps };
}

/** Contents of tokenizer.json, tokenizer_config.json and special_tokens_map.json, and for BPE vocab.json and merges.txt. */
export function pipelineFiles({ data }: PipelineTokenizer, max_length: number): Record<string, string> {
  const ids = new Map(data.vocabulary.map((token, id) => [token, id]));
  const own = data.vocabulary.slice(0, data.pieces), model = modelKind(data.model.type).write(own, data.model);
  const tokenizerJson = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: data.added_tokens.map(({ content, single_word, lstrip, rstrip, special, normalized = false }) => ({
      id: ids.get(content),
      content,
      single_word,
      lstrip,
      rstrip,
      normalized,
      special,
    })),
    normalizer: component(data.normalizers, "normalizers"),
    pre_tokenizer: component(data.pre_tokenizers, "pretokenizers"),
    post_processor: component(data.post_processors, "processors"),
    decoder: component(data.decoders, "decoders"),
    model,
  };
  const { pad, unk, cls, sep, mask } = data.names;
  const isBert = cls === "[CLS]";
  const names = {
    ...(isBert ? {} : { bos_token: cls, eos_token: sep }),
    unk_token: unk,
    sep_token: sep,
    pad_token: pad,
    cls_token: cls,
    mask_token: mask,
  };
  const config = {
    tokenizer_class: "PreTrainedTokenizerFast",
    model_input_names: ["input_ids", "attention_mask"],
    model_max_length: max_length,
    clean_up_tokenization_spaces: false,
    ...names,
  };
  const pretty = (value: unknown) => JSON.stringify(value, null, 2) + "\n";
  return {
    "tokenizer.json": pretty(tokenizerJson),
    "tokenizer_config.json": pretty(config),
    "special_tokens_map.json": pretty(names),
    ...modelKind(data.model.type).files?.(own, data.model),
  };
}
