/** A WordPiece tokenizer → its files, as Hugging Face has them. Used by `tokenizer_files.ts`. */

import { SPECIAL, SPECIAL_TOKENS } from "../added_tokens.ts";
import { COMPAT_KEY, PRE_TOKENIZER_JSON } from "./pre_tokenizer.ts";
import type { WordPieceTokenizer } from "./tokenizer.ts";

/** Contents of the four files, by name. AutoTokenizer loads a folder that holds them and gives the same ids. */
export function wordPieceFiles(tokenizer: WordPieceTokenizer, max_length: number): Record<string, string> {
  const { nfc, compat, pre_tokenizer, ...bert } = tokenizer.normalizer;
  const normalizer = { type: "BertNormalizer", ...bert };
  const id = (token: string) => tokenizer.idOf(token)!;
  const special = (token: string) => ({ SpecialToken: { id: token, type_id: 0 } });
  // transformers makes BERT's own tokens special whether the file says so or not: then the file says so.
  const missing = SPECIAL_TOKENS.filter((token) => !tokenizer.added_tokens.some(({ content }) => content === token));
  const added = [...missing.map((content) => ({ content, ...SPECIAL })), ...tokenizer.added_tokens];
  const tokenizerJson = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: added.map(({ content, single_word, lstrip, rstrip, special, normalized = false }) => ({
      id: id(content),
      content,
      single_word,
      lstrip,
      rstrip,
      normalized,
      special,
    })).sort((a, b) => a.id - b.id),
    normalizer: nfc ? { type: "Sequence", normalizers: [{ type: "NFC" }, normalizer] } : normalizer,
    pre_tokenizer: PRE_TOKENIZER_JSON[pre_tokenizer],
    post_processor: {
      type: "TemplateProcessing",
      single: [special("[CLS]"), { Sequence: { id: "A", type_id: 0 } }, special("[SEP]")],
      pair: [
        special("[CLS]"),
        { Sequence: { id: "A", type_id: 0 } },
        special("[SEP]"),
        { Sequence: { id: "B", type_id: 1 } },
        { SpecialToken: { id: "[SEP]", type_id: 1 } },
      ],
      special_tokens: Object.fromEntries(
        ["[CLS]", "[SEP]"].map((token) => [token, { id: token, ids: [id(token)], tokens: [token] }]),
      ),
    },
    decoder: { type: "WordPiece", prefix: "##", cleanup: tokenizer.cleanup },
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: tokenizer.max_input_chars_per_word,
      vocab: Object.fromEntries(tokenizer.vocabulary.slice(0, tokenizer.pieces).map((token, id) => [token, id])),
    },
  };
  const names = {
    unk_token: "[UNK]",
    sep_token: "[SEP]",
    pad_token: "[PAD]",
    cls_token: "[CLS]",
    mask_token: "[MASK]",
  };
  const config = {
    tokenizer_class: "PreTrainedTokenizerFast",
    // Without it, transformers would tell a model nothing of which segment a token is in.
    model_input_names: ["input_ids", "token_type_ids", "attention_mask"],
    model_max_length: max_length,
    do_lower_case: tokenizer.normalizer.lowercase,
    strip_accents: tokenizer.normalizer.strip_accents,
    tokenize_chinese_chars: tokenizer.normalizer.handle_chinese_chars,
    ...(compat === "google" ? { [COMPAT_KEY]: compat } : {}),
    ...names,
  };
  const pretty = (value: unknown) => JSON.stringify(value, null, 2) + "\n";
  return {
    "tokenizer.json": pretty(tokenizerJson),
    // A token that a line cannot hold is in tokenizer.json alone, and then there is no list of lines.
    ...(tokenizer.vocabulary.some((token) => /[\r\n]|\p{White_Space}$/u.test(token))
      ? {}
      : { "vocab.txt": tokenizer.vocabulary.join("\n") + "\n" }),
    "tokenizer_config.json": pretty(config),
    "special_tokens_map.json": pretty(names),
  };
}
