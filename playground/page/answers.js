/* What could stand in the blanks, by one model or by two side by side. */

import { byId, element, grouped, percent } from "./ask.js";

/** Cards in a row of a wide page, by how many models there are and how many blanks. */
const inRow = (models, blanks) => models > 1 ? models : blanks === 4 ? 2 : Math.min(3, blanks);

/** How sure a model is, as people say it. */
function sureness(entropy) {
  const choices = Math.exp(entropy);
  const like = choices < 1.05
    ? "it is sure"
    : `as if among ${choices < 10 ? choices.toFixed(1) : grouped(choices)} words`;
  return `${entropy.toFixed(2)} nats of entropy: ${like}`;
}

/** `columns`: what each model said, with its name. */
export function drawAnswers(columns, onPick) {
  const isSeveral = columns.length > 1;
  const cards = [];
  const count = Math.max(0, ...columns.map(({ blanks }) => blanks.length));
  for (let blank = 0; blank < count; blank++) {
    columns.forEach(({ name, blanks }, column) => {
      if (blanks[blank] === undefined) return;
      const { entropy, answers } = blanks[blank];
      const title = [...(count > 1 ? [`Blank ${blank + 1}`] : []), ...(isSeveral ? [name] : [])].join(" · ");
      const rows = answers.map((answer) => {
        const shown = (answer.joined ? "…" : "") + answer.word;
        const button = element("button", {
          type: "button",
          className: "answer",
          children: [
            element("span", { text: shown, dir: "auto" }),
            element("span", { className: "percent", text: percent(answer.probability) }),
          ],
        });
        button.style.setProperty("--share", answer.probability);
        button.setAttribute("aria-label", `put in ${shown}, ${percent(answer.probability)}`);
        button.addEventListener("click", () => onPick(blank, answer));
        return element("li", { children: [button] });
      });
      const children = [
        element("p", { className: "entropy", text: sureness(entropy) }),
        element("ol", { children: rows }),
      ];
      if (title !== "") children.unshift(element("h3", { text: title }));
      cards.push(element("div", { className: column === 0 ? "blank" : "blank beside", children }));
    });
  }
  byId("answers").style.setProperty("--in-row", inRow(columns.length, Math.max(1, count)));
  const isFocused = byId("answers").contains(document.activeElement);
  byId("answers").replaceChildren(...cards);
  // Whoever puts an answer in by keyboard goes on at the next blank, or at the words.
  if (isFocused) document.querySelector('.answer, #words [tabindex="0"]')?.focus();
  byId("no-blank").hidden = count > 0;
  byId("filled").textContent = count > 0 ? columns[0].filled : "";
}
