/** `cloze extend-vocab`: a model in, the same model with more tokens out. */

import { ClozeError, ioError } from "../../../config/cloze_error.ts";
import { LONGEST_FILE, readWholeText } from "../../../config/regular_file.ts";
import { countWords } from "../../../data/mod.ts";
import { writeExtendedModel } from "../../../model/extended_model.ts";
import { openModelFolder } from "../../../model/model_folder.ts";
import {
  bertWords,
  learnExtension,
  newSpecialTokens,
  type Tokenizer,
  vocabularyReport,
  wordCounter,
  type WordCounts,
  WordPieceTokenizer,
} from "../../../tokenizer/mod.ts";
import { checkTextFlags, corpusConfig, corpusFiles, noteFindings, noteOnce, saveStdin } from "../../corpus.ts";
import { refuseFlags } from "../../flags/refuse_flags.ts";
import { wordLimit } from "../../learn_tokenizer.ts";
import { bytesPace } from "../../pace.ts";
import { resolve } from "../../paths.ts";
import { endProgress, grouped, note, percent, warn } from "../../terminal.ts";
import { noteTokenizer } from "../../tokenizer_notes.ts";
import type { ExtendVocabOptions } from "./flags.ts";

/** Tokens to learn unless told otherwise. */
const ADD = 1000;
const MIN_FREQUENCY = 2;
/** Above this share of the words it is said what to do. */
const MOST_UNKNOWN = 0.01;

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
  const min_frequency = values["min-frequency"] ?? MIN_FREQUENCY;
  const from = resolve(values.model), to = resolve(values.output).replace(/(?<=.)\/+$/, "");
  await expectEmpty(to);
  const { tokenizer: own } = await openModelFolder(from);
  if (!(own instanceof WordPieceTokenizer)) {
    throw new ClozeError("input", `${from} has a tokenizer that extend-vocab cannot extend: it is not WordPiece`);
  }
  noteTokenizer(own);
  const special = newSpecialTokens(named, own);
  const counts = data.length === 0 ? undefined : await wordsOf(data, values, own.extended([], special));
  const max_input_chars_per_word = counts === undefined
    ? own.max_input_chars_per_word
    : wordLimit(counts, own.max_input_chars_per_word);
  const tokenizer = new WordPieceTokenizer(own.vocabulary, { ...own.data, max_input_chars_per_word });
  const tokens = counts === undefined
    ? values.tokens === undefined ? [] : await readTokens(tokenizer, resolve(values.tokens))
    : learnExtension(tokenizer, counts, { add: values.add ?? ADD, min_frequency });
  if (tokens.length + special.length === 0) throw nothingNew(counts === undefined ? 1 : min_frequency);
  const larger = tokenizer.extended(tokens, special);
  const added = tokens.length + special.length;
  const vocab_size = await writeExtendedModel({
    from,
    to,
    tokenizer: larger,
    pieces: [
      ...tokens.map((token) => tokenizer.piecesOf(token)),
      ...special.map((token) => tokenizer.encode(token, { specials: "corpus" }).ids),
    ],
  });
  note(
    `wrote ${to}: ${grouped(added)} new ${added === 1 ? "token" : "tokens"}, ${
      grouped(larger.size)
    } in all, vocab_size ${vocab_size}`,
  );
  if (counts !== undefined) {
    const [before, after] = [own, larger].map((tokenizer) => vocabularyReport(tokenizer, counts));
    note(`tokens a word in the text: ${before.fertility.toFixed(3)} before, ${after.fertility.toFixed(3)} now`);
    note(`words that are [UNK]: ${percent(before.unk_rate)} before, ${percent(after.unk_rate)} now`);
    if (after.unk_rate > MOST_UNKNOWN) {
      warn(
        `${percent(after.unk_rate)} of the text's words are [UNK] all the same`,
        "take in more of its characters: --add",
      );
    }
  }
  return 0;
}

function nothingNew(min_frequency: number): ClozeError {
  const what = "there is no new token to add";
  if (min_frequency === 1) return new ClozeError("input", `${what}: the model has them all`);
  return new ClozeError("input", `${what}: nothing that the model lacks occurs ${min_frequency} times in the text`, {
    hint: "give more text, or take what is rarer, too: --min-frequency 1",
  });
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
  tokenizer: WordPieceTokenizer,
): Promise<WordCounts> {
  const folder = await Deno.makeTempDir({ prefix: "cloze-" });
  try {
    const { files, stdin } = await corpusFiles(data, values, folder);
    if (stdin !== undefined) await saveStdin(stdin, values.format);
    const counted = await countWords({ files, config: corpusConfig(values) }, {
      words: bertWords(tokenizer.normalizer, tokenizer.added_tokens),
      threads: values.threads ?? navigator.hardwareConcurrency,
      onProgress: bytesPace("counting words"),
      onNote: noteOnce,
    });
    endProgress();
    noteFindings(counted.report);
    const counter = wordCounter(bertWords(tokenizer.normalizer));
    for (const words of counted.words) counter.merge(words);
    return counter.words;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The lines of a file that are not tokens yet. */
async function readTokens(tokenizer: Tokenizer, path: string): Promise<string[]> {
  const text = await readWholeText(path, LONGEST_FILE.tokenizer);
  const tokens = new Set<string>();
  text.replace(/^\uFEFF/, "").split("\n").forEach((line, i) => {
    const token = line.trim();
    if (token === "" || tokenizer.idOf(token) !== undefined) return;
    const words = tokenizer.words(token.replace(/^##/, ""));
    if (words.length !== 1 || words[0] !== token.replace(/^##/, "")) {
      throw new ClozeError("input", `${path}: line ${i + 1}: no text gives the token ${JSON.stringify(token)}`, {
        hint: words.length === 0 ? undefined : `the tokenizer makes of it: ${words.join(" ")}`,
      });
    }
    tokens.add(token);
  });
  return [...tokens];
}
