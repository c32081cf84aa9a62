/** `cloze predict`: lines in, answers out, each line as it comes: filled blanks, or classes where the model classifies. */

import { ClozeError } from "../../../config/cloze_error.ts";
import type { ColumnsOf } from "../../../data/columns.ts";
import type { ClassifiedText, Classifier } from "../../../inference/classifier.ts";
import { type FilledLine, FillMask } from "../../../inference/fill_mask.ts";
import type { MeasuredText, Regressor } from "../../../inference/regressor.ts";
import type { TaggedText, TokenClassifier } from "../../../inference/token_classifier.ts";
import { beginModelFolder, type UnreadFolder } from "../../../model/model_folder.ts";
import { sequenceHead } from "../../../model/model_heads.ts";
import { type Answerer, answerLines } from "../../answer_lines.ts";
import type { Texts } from "../../answer_source.ts";
import { inferenceOptions, noteDevice, noteTensors } from "../../device.ts";
import { newestRun, resolve } from "../../paths.ts";
import { note } from "../../terminal.ts";
import { refuseFlags } from "../../flags/refuse_flags.ts";
import { noteTokenizer } from "../../tokenizer_notes.ts";
import type { PredictOptions } from "./flags.ts";
import type { Pairs } from "./pairs.ts";
import { classes, filledLine, measuredLine, taggedLines } from "./view.ts";

export { TABLE } from "./flags.ts";

/** A model that answers, and what to ask it for. */
interface Opened extends Partial<Pairs> {
  // deno-lint-ignore no-explicit-any
  answerer: Answerer<any>;
  model: Disposable;
  /** What a line has to be. */
  takes: "a text with a blank in it" | "a text" | "two texts with a tab between them";
  invitation: string;
}

/** Runs the command. */
export async function run({ positionals = [], ...values }: PredictOptions): Promise<number> {
  const given = values.model ?? [await newestRun()];
  if (values.model === undefined) note(`model: ${given[0]}`);
  using models = new DisposableStack();
  const opened: Opened[] = [];
  for (const path of given) {
    opened.push(await open(await beginModelFolder(resolve(path), values), values));
    models.use(opened.at(-1)!.model);
    checkAlike(opened, given);
  }
  const [{ answerer, invitation }] = opened;
  const all = opened.length === 1
    ? answerer
    : (await sideBySide()).sideBySide(opened.map(({ answerer }, i) => [given[i], answerer]), values.json === true);
  if (positionals.length === 0 && Deno.stdin.isTerminal()) return await (await session()).converse(all, invitation);
  const columns = opened.flatMap(({ columnsOf }) => columnsOf ?? []);
  const columnsOf: ColumnsOf = (names) => columns.map((of) => of(names)).find(({ pair }) => pair !== undefined) ?? {};
  return await answerLines(all, positionals, values, false, columns.length === 0 ? undefined : columnsOf);
}

/** @throws {ClozeError} `usage` if the last model takes other lines than the first: none could be answered by both. */
function checkAlike(opened: readonly Opened[], names: readonly string[]): void {
  const last = opened.length - 1, [a, b] = [opened[0].takes, opened[last].takes];
  if (a === b) return;
  throw new ClozeError("usage", `the model ${names[0]} takes ${a}, and ${names[last]} takes ${b}`, {
    hint: opened[0].isPair === undefined || opened[last].isPair === undefined
      ? "call predict with each of them alone"
      : "--pairs gives both pairs; or call predict with each of them alone",
  });
}

/**
 * What not every call needs. Deno reads what a written-out `import` leads to before a program starts, so the paths are made
 * here.
 */
const classifier = (): Promise<typeof import("../../../inference/classifier.ts")> =>
  import(at("inference/classifier.ts"));
const regressor = (): Promise<typeof import("../../../inference/regressor.ts")> => import(at("inference/regressor.ts"));
const tokenClassifier = (): Promise<typeof import("../../../inference/token_classifier.ts")> =>
  import(at("inference/token_classifier.ts"));
const pairs = (): Promise<typeof import("./pairs.ts")> => import(at("cli/commands/predict/pairs.ts"));
const session = (): Promise<typeof import("../../session.ts")> => import(at("cli/session.ts"));
const sideBySide = (): Promise<typeof import("./side_by_side.ts")> =>
  import(at("cli/commands/predict/side_by_side.ts"));
const at = (file: string) => new URL(`../../../${file}`, import.meta.url).href;

/** Opens what answers with a model's head. */
async function open(folder: UnreadFolder, values: PredictOptions): Promise<Opened> {
  const { heads, path } = folder, options = inferenceOptions(values);
  const ready = <M extends FillMask | Classifier | Regressor | TokenClassifier>(
    model: M,
    tokenizer: { notes: readonly string[] },
  ): M => {
    noteTokenizer(tokenizer);
    noteDevice(values.device, model);
    noteTensors(model.unknownTensors);
    return model;
  };
  const asPairs = async (): Promise<Pairs & { inputOf: InputOf }> => {
    const { pairsOf, inputsOf } = await pairs(), how = await pairsOf(path, values, heads.classifier === null);
    return { ...how, inputOf: (texts) => inputsOf(texts, how.isPair) };
  };
  if (sequenceHead(heads) === null) {
    const why = `is for models that classify texts, or have next-sentence prediction, and ${path} does neither`;
    refuseFlags(values, ["pairs", "pair-column"], why);
  }
  if (values.pairs === true && values["pair-column"] !== undefined) {
    throw new ClozeError("usage", "give either --pairs, for lines with a tab in them, or --pair-column, for records");
  }
  if (heads.token_classifier !== null) {
    refuseFlags(values, ["targets", "top-k"], `is not for ${path}, which tags words`);
    const { TokenClassifier } = await tokenClassifier();
    const model = await TokenClassifier.open(folder, options);
    ready(model, model.folder.tokenizer);
    const invitation = "Type a sentence; each of its words is tagged.";
    return { answerer: tags(model, values), model, takes: "a text", invitation };
  }
  // A model with both heads fills blanks, unless it is given pairs.
  if (heads.classifier !== null || (heads.next_sentence && (!heads.tokens || asksForPairs(values)))) {
    const what = heads.classifier === null ? "is asked whether a text follows another" : "is a classifier";
    refuseFlags(values, ["targets"], `is for blanks, and ${path} ${what}`);
    if (heads.classifier?.problem_type === "regression") {
      refuseFlags(values, ["top-k"], `is for answers that have a probability, and ${path} predicts values`);
      const { Regressor } = await regressor();
      const model = await Regressor.open(folder, options);
      ready(model, model.folder.tokenizer);
      const what = model.labels.length > 1 ? model.labels.join(", ") : "value";
      const { inputOf, ...pairs } = await asPairs();
      const takes = takenBy(pairs), invitation = `Type ${takes}; you are told its ${what}.`;
      return { answerer: measures(model, values, inputOf), model, takes, invitation, ...pairs };
    }
    const { Classifier } = await classifier();
    const model = await Classifier.open(folder, options);
    ready(model, model.folder.tokenizer);
    const { inputOf, ...pairs } = await asPairs();
    const takes = takenBy(pairs);
    const told = model.takesPairsOnly
      ? "whether the second follows the first."
      : `which of these it is: ${model.labels.join(", ")}.`;
    const invitation = `Type ${takes}; you are told ${told}`;
    return { answerer: classifies(model, values, inputOf), model, takes, invitation, ...pairs };
  }
  const { "top-k": topK, targets } = values;
  if (topK !== undefined && targets !== undefined) {
    throw new ClozeError("usage", "give either --top-k or --targets: of targets, all are shown");
  }
  const model = await FillMask.open(folder, {
    ...options,
    ...(topK === undefined ? {} : { topK }),
    ...(targets === undefined ? {} : { targets }),
  });
  ready(model, model);
  const invitation = "Type a sentence with a [MASK] or ____ in it.";
  const takes = "a text with a blank in it";
  return { answerer: fills(model, values, heads.next_sentence), model, takes, invitation };
}

const asksForPairs = (values: PredictOptions) => values.pairs === true || values["pair-column"] !== undefined;

/** A line, or a record, as a text, or as a pair. */
type InputOf = (texts: Texts) => { input: string; pair?: string };

const takenBy = ({ isPair }: Pairs) => isPair ? "two texts with a tab between them" : "a text";

function fills(
  model: FillMask,
  values: PredictOptions,
  next_sentence: boolean,
): Answerer<ReturnType<FillMask["prepare"]>> {
  const show = values.json === true ? (line: FilledLine) => JSON.stringify(line) + "\n" : filledLine;
  return {
    prepare({ text }) {
      try {
        return model.prepare(text);
      } catch (error) {
        if (!next_sentence || !text.includes("\t") || !(error instanceof ClozeError)) throw error;
        const hint = "--pairs asks whether what stands behind the tab follows what stands before it";
        throw new ClozeError(error.code, error.message, { hint });
      }
    },
    counts: ({ counts }) => counts,
    answer: async (prepared, inputs) => {
      const filled = await model.fillPrepared(prepared);
      return filled.map((line, i) => show({ ...line, input: inputs[i].text }));
    },
  };
}

function classifies(
  model: Classifier,
  values: PredictOptions,
  inputOf: InputOf,
): Answerer<ReturnType<Classifier["prepare"]>> {
  const shown = values["top-k"] ?? (values.json === true || model.multiLabel ? model.labels.length : 1);
  const show = (text: ClassifiedText): string => {
    const labels = text.labels.slice(0, shown);
    if (values.json === true) return JSON.stringify({ ...text, labels }) + "\n";
    return classes({ ...text, labels });
  };
  return {
    prepare(line) {
      const { input, pair } = inputOf(line);
      return model.prepare(input, pair);
    },
    counts: ({ counts }) => counts,
    answer: async (prepared, inputs) => {
      const classified = await model.classifyPrepared(prepared);
      return classified.map((result, i) => show({ ...inputOf(inputs[i]), ...result }));
    },
  };
}

function measures(
  model: Regressor,
  values: PredictOptions,
  inputOf: InputOf,
): Answerer<ReturnType<Regressor["prepare"]>> {
  const show = values.json === true ? (text: MeasuredText) => JSON.stringify(text) + "\n" : measuredLine;
  return {
    prepare(line) {
      const { input, pair } = inputOf(line);
      return model.prepare(input, pair);
    },
    counts: ({ counts }) => counts,
    answer: async (prepared, inputs) => {
      const measured = await model.measurePrepared(prepared);
      return measured.map((result, i) => show({ ...inputOf(inputs[i]), ...result }));
    },
  };
}

function tags(model: TokenClassifier, values: PredictOptions): Answerer<ReturnType<TokenClassifier["prepare"]>> {
  const show = values.json === true ? (text: TaggedText) => JSON.stringify(text) + "\n" : taggedLines;
  return {
    prepare: ({ text }) => model.prepare(text),
    counts: ({ counts }) => counts,
    answer: async (prepared) => (await model.tagPrepared(prepared)).map(show),
  };
}
