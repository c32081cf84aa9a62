/** What an experiment has measured, on disk, one JSON object a line, so that a stopped experiment goes on where it was. */

import { checkedLine, checkedLines } from "../config/checked_lines.ts";
import { readWhole } from "../config/regular_file.ts";
import { AppendedFile } from "../config/whole_file.ts";
import { type Condition, sameStart } from "./claims.ts";
import type { Loss, Measured } from "./verdict.ts";

/** What was measured of one model. */
export interface Result {
  condition: string;
  seed: number;
  /** Pretraining updates of the model that was fine-tuned; 0 if it began at random. */
  step: number;
  /** On the validation file, or on the held-out blanks. */
  accuracy: number;
  /** How many texts or blanks that is of. */
  examples: number;
  /** What always the commonest answer gets on them; results of older versions do not say. */
  commonest?: number;
  /** On blanks, in nats. */
  loss?: Loss;
  /** What guessing by frequency costs on the blanks, in nats. */
  guessing_loss?: number;
}

/** Most bytes of the file. */
const LONGEST = 1 << 26;

/** The results file of an experiment. */
export class Results {
  readonly #file: AppendedFile;
  readonly #results: Result[];

  private constructor(file: AppendedFile, results: Result[]) {
    this.#file = file;
    this.#results = results;
  }

  /** Reads what is there; a line that is damaged, or that a crash cut off, is measured again. */
  static async open(path: string): Promise<Results> {
    const there = await Deno.lstat(path).then(() => true, () => false);
    const text = there ? new TextDecoder().decode(await readWhole(path, LONGEST)) : "";
    const results = checkedLines(text).lines.flatMap(({ value }) => value === undefined ? [] : [value]);
    const file = await AppendedFile.create(path, results.map(checkedLine).join(""));
    return new Results(file, results as unknown as Result[]);
  }

  /** Whether it has been measured. */
  has(condition: string, seed: number, step: number): boolean {
    return this.#results.some((r) => r.condition === condition && r.seed === seed && r.step === step);
  }

  add(result: Result): void {
    this.#results.push(result);
    this.#file.append(checkedLine(result));
  }

  /** Everything measured so far at these steps and seeds; a seed that has not been measured is left out. */
  measured(conditions: readonly Condition[], steps: readonly number[], seeds: number): Measured {
    const at = (condition: string, step: number) =>
      this.#results.filter((r) => r.condition === condition && r.step === step && r.seed < seeds)
        .sort((a, b) => a.seed - b.seed);
    const accuracies = (results: readonly Result[]) => results.map(({ accuracy }) => accuracy);
    const curves = <T>(of: (results: readonly Result[]) => T) =>
      Object.fromEntries(conditions.map(({ name }) => [name, steps.map((step) => of(at(name, step)))]));
    const [{ examples = 0, commonest = undefined, loss = undefined, guessing_loss = undefined } = {}] = this.#results;
    return {
      accuracies: curves(accuracies),
      untrained: Object.fromEntries(
        conditions.map((one) => [one.name, accuracies(at(sameStart(conditions, one).name, 0))]),
      ),
      examples,
      ...(commonest === undefined ? {} : { commonest }),
      ...(loss === undefined ? {} : { losses: curves((results) => results.flatMap(({ loss }) => loss ?? [])) }),
      ...(guessing_loss === undefined ? {} : { guessing_loss }),
    };
  }
}
