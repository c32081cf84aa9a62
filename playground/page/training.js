/* The same blanks at the checkpoints of a run. */

import { byId, element, percent } from "./ask.js";

/** Answers in a row of the table. */
const ANSWERS_IN_ROW = 3;

/** `rows`: by checkpoint, its step and what it said; `current`: the step that is shown above. */
export function drawTraining(rows, current) {
  const count = Math.max(0, ...rows.map(({ blanks }) => blanks.length));
  const heads = [
    "update",
    ...Array.from({ length: count }, (_, blank) => count > 1 ? `blank ${blank + 1}` : "answers"),
  ];
  const head = element("thead", {
    children: [element("tr", { children: heads.map((text) => element("th", { text, scope: "col" })) })],
  });
  const body = element("tbody", {
    children: rows.map(({ step, blanks }) => {
      const cells = blanks.map(({ answers }) => {
        const best = answers.slice(0, ANSWERS_IN_ROW);
        const text = best.map(({ word, joined, probability }) => `${joined ? "…" : ""}${word} ${percent(probability)}`);
        return element("td", { text: text.join(" · "), dir: "auto" });
      });
      const row = element("tr", { children: [element("th", { text: String(step), scope: "row" }), ...cells] });
      if (step === current) row.setAttribute("aria-current", "true");
      return row;
    }),
  });
  byId("training").replaceChildren(head, body);
}
