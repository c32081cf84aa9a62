/** What `inspect` shows of a batch: for people on the terminal, or as JSON. */

import type { Batch } from "../../../config/batch.ts";
import { counted, grouped, percent } from "../../../config/numbers.ts";
import type { BatchOptions } from "../../../data/mod.ts";
import type { Tokenizer } from "../../../tokenizer/mod.ts";
import { painter, terminalSize, widthOf } from "../../terminal.ts";

/** A sequence of a batch, as tokens. */
interface Shown {
  tokens: string[];
  /** Where the second segment begins, if there is one. */
  second: number | undefined;
  /** What stood at a position before. */
  labels: Map<number, string>;
  next_sentence_label: number | undefined;
}

function* sequencesOf(batch: Batch, tokenizer: Tokenizer): Generator<Shown> {
  let masked = 0;
  for (let b = 0; b + 1 < batch.cu_seqlens.length; b++) {
    const [from, to] = [batch.cu_seqlens[b], batch.cu_seqlens[b + 1]];
    const labels = new Map<number, string>();
    for (; batch.masked_positions[masked] < to; masked++) {
      labels.set(batch.masked_positions[masked] - from, tokenizer.tokenOf(batch.labels[masked]));
    }
    const second = batch.token_type_ids.subarray(from, to).indexOf(1);
    yield {
      tokens: Array.from(batch.input_ids.subarray(from, to), (id) => tokenizer.tokenOf(id)),
      second: second < 0 ? undefined : second,
      labels,
      next_sentence_label: batch.sequence_labels[b],
    };
  }
}

/** One JSON object for each sequence. */
export function json(batch: Batch, number: number, tokenizer: Tokenizer): string {
  return Array.from(
    sequencesOf(batch, tokenizer),
    ({ tokens, second, labels, next_sentence_label }, sequence) =>
      JSON.stringify({
        batch: number,
        sequence,
        tokens,
        ...(second === undefined ? {} : { second_segment: second, next_sentence_label }),
        masked_positions: [...labels.keys()],
        labels: [...labels.values()],
      }) + "\n",
  ).join("");
}

/** Longer lines are hard to read. */
const MOST_COLUMNS = 100;

/** The batch in lines, with what was masked, replaced and kept. */
export function readable(batch: Batch, number: number, tokenizer: Tokenizer, options: BatchOptions): string {
  const { bold, dim, cyan, red, green } = painter(Deno.stdout);
  const lines: string[] = [],
    most = Math.min(MOST_COLUMNS, Deno.stdout.isTerminal() ? terminalSize().columns : MOST_COLUMNS);
  const { mask, ...others } = tokenizer.names, own = Object.values(others);
  const counts = { masked: 0, replaced: 0, kept: 0 };
  const paint = (token: string, label: string | undefined): { text: string; width: number } => {
    if (label === undefined) {
      return { text: own.includes(token) ? dim(token) : token, width: widthOf(token) };
    }
    const what = token === mask ? "masked" : token === label ? "kept" : "replaced";
    counts[what]++;
    const note = what === "kept" ? "‹kept›" : `‹${label}›`;
    const colour = { masked: cyan, replaced: red, kept: green }[what];
    return { text: colour(bold(token)) + colour(note), width: widthOf(token + note) };
  };
  const sequences = [...sequencesOf(batch, tokenizer)];
  sequences.forEach(({ tokens, second, labels, next_sentence_label }, b) => {
    const pair = next_sentence_label === undefined ? "" : next_sentence_label === 0 ? ", next" : ", random next";
    lines.push("", bold(`sequence ${b}`) + dim(`  ${counted(tokens.length, "token")}, ${labels.size} chosen${pair}`));
    let line = "", width = 0;
    tokens.forEach((token, i) => {
      const painted = paint(token, labels.get(i));
      if (i > 0 && (width + 1 + painted.width > most || i === second)) {
        lines.push(line);
        [line, width] = ["", 0];
      }
      line += line === "" ? painted.text : ` ${painted.text}`;
      width += painted.width + 1;
    });
    lines.push(line);
  });
  const tokens = batch.input_ids.length;
  const chosen = batch.labels.length;
  const head = `${bold(`batch ${number}`)}  ${counted(sequences.length, "sequence")}, ` +
    `${grouped(tokens)} of ${grouped(options.batch_tokens)} tokens (${percent(tokens / options.batch_tokens)} full), ` +
    `${grouped(chosen)} chosen (${percent(chosen / tokens)})`;
  const legend = `  ${cyan(`${counts.masked} ${mask}‹was›`)}, ${red(`${counts.replaced} replaced‹was›`)}, ` +
    green(`${counts.kept} kept‹kept›`);
  return [head, legend, ...lines, "", ""].join("\n");
}
