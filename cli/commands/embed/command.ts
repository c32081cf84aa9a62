/** `cloze embed`: lines in, vectors out, as JSON lines or as one array. */

import { ClozeError } from "../../../config/cloze_error.ts";
import { exists } from "../../../config/folder.ts";
import { counted } from "../../../config/numbers.ts";
import { writeAll, writeWith } from "../../../config/whole_file.ts";
import { VECTOR_FORMATS, writeVectors } from "../../../data/vector_file.ts";
import { type EmbeddedText, Embedder } from "../../../inference/embedder.ts";
import { beginModelFolder } from "../../../model/model_folder.ts";
import type { AnswerSource } from "../../answer_source.ts";
import { inferenceOptions, noteDevice, noteTensors } from "../../device.ts";
import { sourcesOf } from "../../file_sources.ts";
import { newestRun, resolve } from "../../paths.ts";
import { note, printError, writeOut } from "../../terminal.ts";
import { noteTokenizer } from "../../tokenizer_notes.ts";
import type { EmbedOptions } from "./flags.ts";

export { TABLE } from "./flags.ts";

/** Runs the command. */
export async function run({ positionals = [], ...values }: EmbedOptions): Promise<number> {
  const output = values.output === undefined ? undefined : resolve(values.output);
  const ending = output === undefined ? "jsonl" : /\.([^./\\]*)$/.exec(output)?.[1];
  const array = VECTOR_FORMATS.find((format) => format === ending);
  if (array === undefined && ending !== "jsonl") {
    throw new ClozeError("usage", `--output is ${values.output}, but has to end in .jsonl, .npy or .safetensors`);
  }
  if (output === undefined && values.force === true) {
    throw new ClozeError("usage", "--force is for --output: without it no file is written");
  }
  if (output !== undefined && values.force !== true && await exists(output)) {
    throw new ClozeError("input", `${output} exists`, { hint: "give another file, or --force to replace it" });
  }
  const path = values.model === undefined ? await newestRun() : resolve(values.model);
  if (values.model === undefined) note(`model: ${path}`);
  const { pooling = "mean", normalize = false } = values;
  using model = await Embedder.open(await beginModelFolder(path, values), {
    ...inferenceOptions(values),
    pooling,
    normalize,
  });
  noteTokenizer(model.folder.tokenizer);
  noteDevice(values.device, model);
  noteTensors(model.unknownTensors);
  const sources = await sourcesOf(positionals, values, false);
  const lines = new Lines(model, array === undefined);
  if (array !== undefined) {
    const metadata = { format: "cloze", pooling, normalize: String(normalize) };
    const rows = await writeVectors(output!, array, model.width, metadata, vectorsOf(lines.embedded(sources)));
    note(`wrote ${output}: ${counted(rows, "vector")} of ${model.width}`);
  } else if (output !== undefined) {
    const encoder = new TextEncoder();
    await writeWith(output, async (file) => {
      for await (const line of lines.embedded(sources)) writeAll(file, encoder.encode(json(line)));
    });
    note(`wrote ${output}: ${counted(lines.count, "vector")} of ${model.width}`);
  } else {
    for await (const line of lines.embedded(sources)) await writeOut(json(line));
  }
  lines.report();
  return lines.failed ? 1 : 0;
}

/** The lines of all sources with their vectors, and what was wrong with them. */
class Lines {
  readonly #model: Embedder;
  /** Whether a line that cannot be read may be left out: rows of an array are lines. */
  readonly #skips: boolean;
  count = 0;
  failed = false;
  #truncated = 0;
  #empty = 0;
  readonly #words = { words: 0, unknown: 0 };

  constructor(model: Embedder, skips: boolean) {
    this.#model = model;
    this.#skips = skips;
  }

  async *embedded(sources: readonly (AnswerSource | ClozeError)[]): AsyncGenerator<EmbeddedText> {
    for (const source of sources) {
      if (source instanceof ClozeError) this.#fail(source);
      else yield* this.#of(source);
    }
  }

  async *#of({ name, entries, findings }: AnswerSource): AsyncGenerator<EmbeddedText> {
    for await (const group of entries()) {
      const texts: string[] = [];
      for (const { text, place, problem } of group) {
        if (problem === undefined) texts.push(text);
        else {
          const where = `${name === undefined ? "" : `${name}: `}${await place()}`;
          this.#fail(new ClozeError("input", `${where}: ${problem.message}`, { hint: problem.hint }));
        }
      }
      const prepared = texts.map((text) => this.#model.prepare(text));
      for (const { counts: { words, unknown }, truncated } of prepared) {
        this.#words.words += words;
        this.#words.unknown += unknown;
        if (truncated) this.#truncated++;
      }
      const embedded = await this.#model.embedPrepared(prepared);
      for (const [i, line] of embedded.entries()) {
        this.count++;
        if (texts[i].trim() === "") this.#empty++;
        yield { input: texts[i], ...line };
      }
    }
    const found = findings();
    if (found.length > 0) note(`note: ${name === undefined ? "" : `${name}: `}${found.join(", ")}`);
  }

  #fail(error: ClozeError): void {
    if (!this.#skips) throw error;
    printError(error);
    this.failed = true;
  }

  /** Says what of the text the vectors do not say. */
  report(): void {
    const { words, unknown } = this.#words;
    if (this.#empty > 0) {
      note(`note: ${counted(this.#empty, "line")} of ${this.count} had nothing in ${them(this.#empty)}`);
    }
    if (this.#truncated > 0) {
      note(
        `note: ${counted(this.#truncated, "line")} of ${this.count} ${
          this.#truncated === 1 ? "is" : "are"
        } longer than ` +
          "the model takes: only the beginning was read",
      );
    }
    if (unknown > 0) {
      note(`note: ${unknown} of ${counted(words, "word")} became [UNK]: the model cannot tell what they are`);
    }
  }
}

const them = (count: number) => (count === 1 ? "it" : "them");

async function* vectorsOf(lines: AsyncIterable<EmbeddedText>): AsyncGenerator<Float32Array> {
  for await (const { embedding } of lines) yield embedding;
}

/** A line as JSON; nine digits are enough for every f32. */
function json({ input, embedding, truncated, unknown }: EmbeddedText): string {
  const numbers = Array.from(embedding, (x) => Number(x.toPrecision(9)));
  return JSON.stringify({ input, embedding: numbers, truncated, unknown }) + "\n";
}
