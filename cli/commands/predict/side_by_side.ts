/** Several models that answer the same lines, one below the other. */

import { visibleLine } from "../../../config/visible.ts";
import type { UnknownCounts } from "../../../tokenizer/mod.ts";
import type { Answerer } from "../../answer_lines.ts";
import { widthOf } from "../../terminal.ts";

// deno-lint-ignore no-explicit-any
type Any = Answerer<any>;

/**
 * One answerer made of several.
 *
 * @param models each with the name that its answers go under.
 */
export function sideBySide(models: readonly (readonly [name: string, answerer: Any])[], json: boolean): Any {
  const names = models.map(([name]) => visibleLine(name)), widest = Math.max(...names.map(widthOf));
  const under = (name: string, answer: string) => {
    if (json) return answer.replace(/^\{/, `{"model":${JSON.stringify(name)},`);
    const label = name + " ".repeat(widest - widthOf(name) + 2);
    return answer.trimEnd().split("\n").map((line, i) => (i === 0 ? label : " ".repeat(widest + 2)) + line + "\n").join(
      "",
    );
  };
  return {
    prepare: (line) => models.map(([_, answerer]) => answerer.prepare(line)),
    /** Of the model that knows the fewest words. */
    counts: (prepared: unknown[]) => {
      const all: UnknownCounts[] = models.map(([_, answerer], m) => answerer.counts(prepared[m]));
      return all.reduce((worst, counts) =>
        counts.unknown * worst.words > worst.unknown * counts.words ? counts : worst
      );
    },
    answer: async (prepared: unknown[][], inputs) => {
      const answers: string[][] = [];
      for (const [m, [_, answerer]] of models.entries()) {
        answers.push(await answerer.answer(prepared.map((ready) => ready[m]), inputs));
      }
      const gap = json ? "" : "\n";
      return inputs.map((_, i) => answers.map((of, m) => under(json ? models[m][0] : names[m], of[i])).join("") + gap);
    },
  };
}
