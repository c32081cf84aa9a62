/** Accuracies of an experiment on disk, one JSON object a line, so that a stopped experiment goes on where it was. */

import { ioError } from "../config/cloze_error.ts";
import { AppendedFile } from "../config/whole_file.ts";
import { type Condition, sameStart } from "./claims.ts";
import type { Measured } from "./verdict.ts";

/** One fine-tuned model's accuracy. */
export interface Result {
  condition: string;
  seed: number;
  /** Pretraining updates of the model that was fine-tuned; 0 if it began at random. */
  step: number;
  /** On the validation file. */
  accuracy: number;
  /** Size of the validation file. */
  examples: number;
}

/** The results file of an experiment. */
export class Results {
  readonly #file: AppendedFile;
  readonly #results: Result[];

  private constructor(file: AppendedFile, results: Result[]) {
    this.#file = file;
    this.#results = results;
  }

  /** Reads what is there; a line that a crash cut off is measured again. */
  static async open(path: string): Promise<Results> {
    const text = await Deno.readTextFile(path).catch((error) => {
      if (error instanceof Deno.errors.NotFound) return "";
      throw ioError(error, "read", path);
    });
    const results: Result[] = [];
    for (const line of text.split("\n")) {
      try {
        results.push(JSON.parse(line));
      } catch {
        // Empty, or cut off.
      }
    }
    const file = await AppendedFile.create(path, results.map((result) => JSON.stringify(result) + "\n").join(""));
    return new Results(file, results);
  }

  /** Whether it has been measured. */
  has(condition: string, seed: number, step: number): boolean {
    return this.#results.some((r) => r.condition === condition && r.seed === seed && r.step === step);
  }

  add(result: Result): void {
    this.#results.push(result);
    this.#file.append(JSON.stringify(result) + "\n");
  }

  /** Everything measured so far at these steps and seeds; a seed that has not been measured is left out. */
  measured(conditions: readonly Condition[], steps: readonly number[], seeds: number): Measured {
    const at = (condition: string, step: number) =>
      this.#results.filter((r) => r.condition === condition && r.step === step && r.seed < seeds)
        .sort((a, b) => a.seed - b.seed).map(({ accuracy }) => accuracy);
    return {
      accuracies: Object.fromEntries(conditions.map(({ name }) => [name, steps.map((step) => at(name, step))])),
      untrained: Object.fromEntries(conditions.map((one) => [one.name, at(sameStart(conditions, one).name, 0)])),
      examples: this.#results[0]?.examples ?? 0,
    };
  }
}
