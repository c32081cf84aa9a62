/** `cloze extend-vocab`: a model in, the same model with more tokens out. */

import { ClozeError, ioError } from "../../../config/cloze_error.ts";
import { type ModelFolder, openModelFolder } from "../../../model/model_folder.ts";
import { newSpecialTokens, type WordCounts } from "../../../tokenizer/mod.ts";
import { checkTextFlags, corpusConfig, corpusFiles, noteFindings, saveStdin } from "../../corpus.ts";
import { countedWords, writeExtended, writeSpecial } from "../../extended_vocabulary.ts";
import { refuseFlags } from "../../flags/refuse_flags.ts";
import { resolve } from "../../paths.ts";
import { noteTokenizer } from "../../tokenizer_notes.ts";
import type { ExtendVocabOptions } from "./flags.ts";

export { TABLE } from "./flags.ts";

/** Tokens to learn unless told otherwise. */
const ADD = 1000;
const MIN_FREQUENCY = 2;

/** Runs the command. */
export async function run({ positionals = [], ...values }: ExtendVocabOptions): Promise<number> {
  const data = [...(values.data ?? []), ...positionals];
  const named = values["special-token"] ?? [];
  const sources = [data.length > 0, values.tokens !== undefined].filter((isGiven) => isGiven).length;
  if (
    values.model === undefined || values.output === undefined || sources > 1 || (sources === 0 && named.length === 0)
  ) {
    throw new ClozeError(
      "usage",
      "cloze extend-vocab needs --model DIR, --output DIR and one of --data and --tokens, or --special-token",
    );
  }
  if (data.length === 0) {
    checkTextFlags(values, []);
    refuseFlags(values, ["add", "min-frequency"], "is for tokens that are learned from --data");
  }
  const to = resolve(values.output).replace(/(?<=.)\/+$/, "");
  await expectEmpty(to);
  const folder = await openModelFolder(resolve(values.model), values);
  noteTokenizer(folder.tokenizer);
  const special = newSpecialTokens(named, folder.tokenizer);
  if (sources === 0) {
    await writeSpecial(folder, to, special);
    return 0;
  }
  const counts = data.length === 0 ? undefined : await wordsOf(data, values, folder, special);
  await writeExtended(folder, to, counts, special, {
    flag: "add",
    add: values.add ?? ADD,
    min_frequency: values["min-frequency"] ?? MIN_FREQUENCY,
    ...(values.tokens === undefined ? {} : { tokens: resolve(values.tokens) }),
  });
  return 0;
}

async function expectEmpty(path: string): Promise<void> {
  try {
    for await (const { name } of Deno.readDir(path)) {
      throw new ClozeError("usage", `the output folder ${path} has ${name} in it`, { hint: "give a new folder" });
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw ioError(error, "read", path);
  }
}

async function wordsOf(
  data: readonly string[],
  values: ExtendVocabOptions,
  model: ModelFolder,
  special: readonly string[],
): Promise<WordCounts> {
  const folder = await Deno.makeTempDir({ prefix: "cloze-" });
  try {
    const { files, stdin } = await corpusFiles(data, values, folder);
    if (stdin !== undefined) await saveStdin(stdin, values.format);
    const threads = values.threads ?? navigator.hardwareConcurrency;
    const { words, report } = await countedWords({ files, config: corpusConfig(values) }, model, {
      flag: "add",
      special,
      threads,
    });
    noteFindings(report);
    return words;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
