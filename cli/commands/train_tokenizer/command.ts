/** `cloze train-tokenizer`: text in, a tokenizer out. */

import { ClozeError } from "../../../config/cloze_error.ts";
import { exists, makeFolder } from "../../../config/folder.ts";
import { grouped, percent } from "../../../config/numbers.ts";
import { LONGEST_FILE, readWholeText } from "../../../config/regular_file.ts";
import { writeWhole } from "../../../config/whole_file.ts";
import { tokenizerHash } from "../../../data/mod.ts";
import { tokenizerFiles, vocabularyReport } from "../../../tokenizer/mod.ts";
import { corpusConfig, corpusFiles, corpusFindings, saveStdin } from "../../corpus.ts";
import { refuseFlags } from "../../flags/refuse_flags.ts";
import { type Learned, learnedFlags, type LearnOptions, learnTokenizer } from "../../learn_tokenizer.ts";
import { resolve } from "../../paths.ts";
import { stopSignals } from "../../stop_signals.ts";
import { note, warn } from "../../terminal.ts";
import type { Call } from "../registry.ts";
import type { TrainTokenizerOptions } from "./flags.ts";
import { describe } from "./view.ts";

export { TABLE } from "./flags.ts";

/** What `tokenizer_config.json` says is the longest text: BERT's 512. */
const MODEL_MAX_LENGTH = 512;
/** Above this share of the words it is said what to do. */
const MOST_UNKNOWN = 0.01;

/** Runs the command. */
export async function run(
  { positionals = [], ...values }: TrainTokenizerOptions,
  { isPart = false }: Call,
): Promise<number> {
  const stop = isPart ? undefined : stopSignals("the same command", "stopped; nothing is learned yet");
  try {
    return await learn(values, positionals);
  } finally {
    stop?.dispose();
  }
}

async function learn(values: TrainTokenizerOptions, positionals: readonly string[]): Promise<number> {
  const data = [...(values.data ?? []), ...positionals];
  if (data.length === 0 || values.output === undefined) {
    throw new ClozeError("usage", "cloze train-tokenizer needs --data PATH… and --output DIR");
  }
  if (values["pre-tokenizer"] === "characters") {
    refuseFlags(values, ["min-frequency"], "is for pairs that are merged, but --pre-tokenizer characters merges none");
  }
  const { model = "wordpiece" } = values;
  if (model !== "wordpiece") refuseFlags(values, ["pre-tokenizer", "compat"], "is for --model wordpiece");
  if (model === "bpe") {
    refuseFlags(values, ["limit-alphabet"], "is not for --model bpe, whose alphabet is the 256 bytes");
  }
  if (model === "unigram") refuseFlags(values, ["min-frequency"], "is not for --model unigram, which merges no pairs");
  const asked = learnedFlags(values);
  const output = resolve(values.output);
  await makeFolder(output);
  const there = values.force === true ? [] : await tokenizerIn(output);
  if (there.length > 0) {
    note(`note: ${output} has ${there[0]} in it; unless that is this tokenizer, it is replaced only with --force`);
  }
  const { files, stdin } = await corpusFiles(data, values, output);
  let learned: Learned;
  try {
    if (stdin !== undefined) await saveStdin(stdin, values.format);
    const corpus = { files, config: corpusConfig(values) };
    const options: LearnOptions = {
      ...(values["vocab-size"] === undefined ? {} : { vocab_size: values["vocab-size"] }),
      ...(values["min-frequency"] === undefined ? {} : { min_frequency: values["min-frequency"] }),
      ...(values["limit-alphabet"] === undefined ? {} : { limit_alphabet: values["limit-alphabet"] }),
      ...(values["pad-to-multiple"] === undefined ? {} : { pad_to_multiple_of: values["pad-to-multiple"] }),
      ...asked,
      compat: values.compat ?? "huggingface",
      threads: values.threads ?? navigator.hardwareConcurrency,
    };
    learned = model === "wordpiece"
      ? await learnTokenizer(corpus, options)
      : await (await import("./learn_spaced.ts")).learnSpaced(model, corpus, options);
  } finally {
    if (stdin !== undefined) await Deno.remove(stdin).catch(() => {});
  }
  const { tokenizer, counts } = learned;
  note(`read ${corpusFindings(learned.corpus)}`);
  if (tokenizer.lowercases && values.compat === "google") {
    note("note: Google's rules strip accents from lowercased text, which takes Hangul apart into Jamo");
  }
  const texts = tokenizerFiles(tokenizer, MODEL_MAX_LENGTH);
  for (const name of there) await expectSame(`${output}/${name}`, texts[name]);
  for (const [name, text] of Object.entries(texts)) await writeWhole(`${output}/${name}`, text);
  note(`wrote ${output}: ${grouped(tokenizer.size)} tokens, hash ${tokenizerHash(tokenizer).slice(0, 16)}`);
  const report = vocabularyReport(tokenizer, counts);
  for (const line of describe(report)) note(line);
  if (values["limit-alphabet"] !== undefined && report.unk_rate > MOST_UNKNOWN) {
    warn(
      `${percent(report.unk_rate)} of the text's words became [UNK]: no model can read or learn them`,
      "keep more of its characters: a larger --limit-alphabet, or none",
    );
  }
  return 0;
}

/** Those of a tokenizer's files that a folder has. */
async function tokenizerIn(folder: string): Promise<string[]> {
  const names = [
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
  ];
  const found = await Promise.all(names.map((name) => exists(`${folder}/${name}`)));
  return names.filter((_, i) => found[i]);
}

/** @throws {ClozeError} `input` if a file is not what would be written: a command that was stopped may be called again. */
async function expectSame(path: string, text: string): Promise<void> {
  // What cannot be read is not what would be written, and is refused with the rest.
  if (await readWholeText(path, LONGEST_FILE.tokenizer).catch(() => undefined) === text) return;
  throw new ClozeError("input", `${path} exists, and is of another tokenizer than this one`, {
    hint: "give another --output, or --force to replace it",
  });
}
