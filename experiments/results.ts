/** Accuracies of an experiment on disk, one JSON object a line, so that a stopped experiment goes on where it was. */

import { ioError } from "../config/cloze_error.ts";
import type { Measured } from "./verdict.ts";

/** One fine-tuned model's accuracy. */
export interface Result {
  condition: string;
  seed: number;
  /** Pretraining updates of the model that was fine-tuned. */
  step: number;
  /** On the validation file. */
  accuracy: number;
  /** Size of the validation file. */
  examples: number;
}

/** The results file of an experiment. */
export class Results {
  readonly #path: string;
  readonly #results: Result[];

  private constructor(path: string, results: Result[]) {
    this.#path = path;
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
    await Deno.writeTextFile(path, results.map((result) => JSON.stringify(result) + "\n").join(""));
    return new Results(path, results);
  }

  /** Whether it has been measured. */
  has(condition: string, seed: number, step: number): boolean {
    return this.#results.some((r) => r.condition === condition && r.seed === seed && r.step === step);
  }

  async add(result: Result): Promise<void> {
    this.#results.push(result);
    await Deno.writeTextFile(this.#path, JSON.stringify(result) + "\n", { append: true }).catch((error) => {
      throw ioError(error, "write", this.#path);
    });
  }

  /** Everything measured, for a verdict. Every condition has to be complete for these steps and seeds. */
  measured(conditions: readonly string[], steps: readonly number[], seeds: number): Measured {
    const accuracies: Measured["accuracies"] = {};
    for (const condition of conditions) {
      accuracies[condition] = steps.map((step) =>
        Array.from({ length: seeds }, (_, seed) => {
          const of = this.#results.find((r) => r.condition === condition && r.seed === seed && r.step === step);
          if (of === undefined) throw new Error(`${condition}, seed ${seed}, step ${step} has not been measured`);
          return of.accuracy;
        })
      );
    }
    return { accuracies, examples: this.#results[0].examples };
  }
}
