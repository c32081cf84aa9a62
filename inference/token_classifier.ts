/** Tags the words of texts with a fine-tuned model. Used by the predict command and by programs. */

import { packMasked } from "../config/batch.ts";
import { program } from "../config/called.ts";
import { ClozeError } from "../config/cloze_error.ts";
import { entitiesOf, hasEntities } from "../config/entities.ts";
import { shown } from "../config/json_object.ts";
import { groupsByTokens } from "../config/packed_sequences.ts";
import type { Engine } from "../ffi/mod.ts";
import { longestText } from "../model/families.ts";
import type { ModelFolder } from "../model/model_folder.ts";
import { engineHeads } from "../model/model_heads.ts";
import { type UnknownCounts, unknownCounts } from "../tokenizer/unknown_counts.ts";
import { joinedWords, rawWords, wordWindows } from "../tokenizer/word_windows.ts";
import {
  answerLimits,
  checkOptions,
  folderOf,
  type GivenModel,
  type InferenceOptions,
  openBoth,
  OpenModel,
} from "./open_engine.ts";

/** A word with its most probable class, under the names of transformers' pipeline. */
export interface TaggedWord {
  /** As it stands in the text. */
  word: string;
  /** Such as `B-LOC`; `null` for a word that is nothing to the tokenizer, such as a control character. */
  entity: string | null;
  /** Its probability. */
  score: number | null;
  /** Where it stands, in UTF-16 units. */
  start: number;
  /** Exclusive. */
  end: number;
}

/** Some neighbouring words that are one thing together. */
export interface Entity {
  /** Such as `LOC`. */
  entity_group: string;
  /** Mean over its words. */
  score: number;
  /** As it stands in the text. */
  word: string;
  /** Where it begins, in UTF-16 units. */
  start: number;
  /** Exclusive. */
  end: number;
}

/** A text with its words' classes. */
export interface TaggedText {
  /** As it was given. */
  input: string;
  /** From left to right. */
  words: TaggedWord[];
  /** In a model whose classes mark entities: in a scheme such as BIO. */
  entities?: Entity[];
  /** Whether the text was read in parts, because it is longer than the model takes. */
  divided: boolean;
  /** Words that became `[UNK]`: the model cannot tell them apart. */
  unknown: number;
}

/** A text, or its words. */
export type TextOrWords = string | readonly string[];

/** A text as the model sees it. */
export interface PreparedWords {
  /** The text, or the words with a space between two. */
  text: string;
  /** Where each word stands in it, in UTF-16 units, end exclusive. */
  places: readonly (readonly [from: number, to: number])[];
  /** Sequences of ids, `[CLS]` and `[SEP]` included, with the positions of the first pieces of their words, which have numbers. */
  windows: readonly { ids: Int32Array; positions: readonly number[]; words: readonly number[] }[];
  /** Of the whole text. */
  counts: UnknownCounts;
}

/** How a {@linkcode TokenClassifier} is opened. */
export type TokenClassifierOptions = InferenceOptions;

/** Tokens that the engine takes at once. */
const BATCH_TOKENS = 2048;

/**
 * A model that tags words, such as `BertForTokenClassification`: with entities, or parts of speech.
 *
 * The words of a text are what stands between white space; punctuation marks at the ends of one are words of their own, as in
 * tagged corpora. A word has the class of its first piece (Devlin et al., 2019, section 5.3). Entities are those that
 * conlleval finds in the classes, with the mean of their words' scores: for words of letters what transformers' pipeline
 * gives with `aggregation_strategy="first"`.
 *
 * @example Find the entities of a text
 * ```ts ignore
 * import { TokenClassifier } from "./mod.ts";
 *
 * using model = await TokenClassifier.open("runs/names");
 * const [{ entities }] = await model.tag(["Ada Lovelace lived in London."]);
 * for (const { entity_group, word, start, end } of entities ?? []) console.log(entity_group, word, start, end);
 * ```
 */
export class TokenClassifier extends OpenModel {
  /** The folder that it was opened from. */
  readonly folder: ModelFolder;
  /** Names of the classes, by number. */
  readonly labels: readonly string[];
  readonly #engine: Engine;
  readonly #marksEntities: boolean;

  private constructor(folder: ModelFolder, labels: readonly string[], engine: Engine) {
    super(engine);
    this.folder = folder;
    this.labels = labels;
    this.#engine = engine;
    this.#marksEntities = hasEntities(labels);
  }

  /**
   * Opens a model.
   *
   * @param model path of its folder.
   * @param options where and how it runs.
   * @returns the model; dispose of it when it is no longer needed.
   * @throws {ClozeError} if the folder holds no token classifier, or it or the core cannot be used.
   */
  static async open(model: GivenModel, options: TokenClassifierOptions = {}): Promise<TokenClassifier> {
    checkOptions(options);
    const begun = await folderOf(model);
    const { heads, path } = begun;
    if (heads.token_classifier === null) {
      throw new ClozeError("input", `${path} does not classify tokens`, {
        hint: `fine-tune it: ${program()} finetune --model ${path} --train FILE.conll --valid FILE.conll --output DIR`,
      });
    }
    const limits = answerLimits(begun, BATCH_TOKENS, 3);
    const { folder, engine } = await openBoth(begun, engineHeads(heads), limits, options);
    return new TokenClassifier(folder, heads.token_classifier.labels, engine);
  }

  /** A text as the model sees it: its words in one sequence, or several if it is longer than the model takes. */
  prepare(given: TextOrWords): PreparedWords {
    const { tokenizer, config } = this.folder;
    const { text, places } = typeof given === "string" ? { text: given, places: rawWords(given) } : joinedWords(given);
    const { windows } = wordWindows(text, places, tokenizer, longestText(config));
    return { text, places, windows, counts: unknownCounts(tokenizer.encode(text).ids, tokenizer) };
  }

  /** Tags prepared texts, several in one call of the engine. */
  async tagPrepared(texts: readonly PreparedWords[]): Promise<TaggedText[]> {
    const tagged = texts.map(({ text, places }) =>
      places.map(([start, end]): TaggedWord => ({
        word: text.slice(start, end),
        entity: null,
        score: null,
        start,
        end,
      }))
    );
    const all = texts.flatMap(({ windows }, t) => windows.map((window) => ({ window, words: tagged[t] })));
    for (const group of groupsByTokens(all, ({ window }) => window.ids.length, BATCH_TOKENS)) {
      const k = this.labels.length, logits = await this.#engine.logits(packMasked(group.map(({ window }) => window)));
      let row = 0;
      for (const { window, words } of group) {
        for (const word of window.words) {
          const { best, probability } = bestOf(logits.subarray(row * k, ++row * k));
          words[word].entity = this.labels[best];
          words[word].score = probability;
        }
      }
    }
    return texts.map(({ text, windows, counts: { unknown } }, t) => ({
      input: text,
      words: tagged[t],
      ...(this.#marksEntities ? { entities: entitiesIn(text, tagged[t]) } : {}),
      divided: windows.length > 1,
      unknown,
    }));
  }

  /**
   * Tags the words of texts.
   *
   * @param texts texts, or lists of words where those are known.
   * @returns for each of them its words with their classes, and its entities. `input` is the text, or the words with spaces
   *   between them, which is what the offsets are of.
   * @throws {ClozeError} if one is neither, with its number, or if the model has been disposed of.
   */
  async tag(texts: readonly TextOrWords[]): Promise<TaggedText[]> {
    if (!Array.isArray(texts)) {
      throw new ClozeError("usage", `texts is ${shown(texts)}, but has to be an array`, {
        hint: typeof texts === "string" ? "for one text, give [text]" : undefined,
      });
    }
    for (const [i, given] of texts.entries()) {
      const isWords = Array.isArray(given) && given.every((word) => typeof word === "string");
      if (typeof given === "string" || isWords) continue;
      throw new ClozeError("usage", `texts[${i}] is ${shown(given)}, but has to be a string or an array of words`);
    }
    this.#engine.checkOpen();
    return await this.tagPrepared(texts.map((given) => this.prepare(given)));
  }
}

function entitiesIn(text: string, words: readonly TaggedWord[]): Entity[] {
  return entitiesOf(words.map(({ entity }) => entity ?? "O")).map(({ type, from, to }) => {
    const inside = words.slice(from, to), start = inside[0].start, end = inside[inside.length - 1].end;
    const score = inside.reduce((sum, word) => sum + word.score!, 0) / inside.length; // each has a class
    return { entity_group: type, score, word: text.slice(start, end), start, end };
  });
}

function bestOf(row: Float32Array): { best: number; probability: number } {
  const top = row.reduce((a, b) => Math.max(a, b), -Infinity);
  return { best: row.indexOf(top), probability: 1 / row.reduce((sum, x) => sum + Math.exp(x - top), 0) };
}
