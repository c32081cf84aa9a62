/* What a token looks at in the attention of a layer, and which tokens are nearest to it. */

import { ask, byId, element, newestOnly, percent } from "./ask.js";
import { walkWords } from "./words.js";

/** `from` is the token that looks. */
const state = { model: "", text: "", answer: undefined, from: 1 };

const isOpen = () => byId("inside").open;

const showAttention = newestOnly((question) => ask("/attention", question), (answer, error, { text }) => {
  if (text !== state.text) return;
  byId("inside-problem").hidden = error === undefined;
  byId("inside-problem").textContent = error?.message ?? "";
  state.answer = answer;
  if (answer === undefined) return byId("looks").replaceChildren();
  state.from = Math.min(state.from, answer.tokens.length - 1);
  choices(byId("layer"), answer.layers, answer.layer, (i) => `${i + 1}`);
  choices(byId("head"), answer.heads + 1, Number(byId("head").value || 0), (i) => i === 0 ? "mean of all" : `${i}`);
  draw();
  askNear();
});

const showNear = newestOnly((question) => ask("/neighbours", question), (answer, error, { text }) => {
  byId("near-title").textContent = `Nearest tokens to ${text}`;
  byId("near-problem").hidden = error === undefined;
  byId("near-problem").textContent = error?.message ?? "";
  byId("near").replaceChildren(...(answer?.neighbours ?? []).map(({ token, similarity }) =>
    element("li", {
      dir: "auto",
      children: [`${token} `, element("span", { text: similarity.toFixed(2) })],
    })
  ));
});

/** Fills a choice once for a model. */
function choices(select, count, chosen, name) {
  if (select.options.length !== count) {
    select.replaceChildren(
      ...Array.from({ length: count }, (_, i) => element("option", { value: String(i), text: name(i) })),
    );
  }
  select.value = String(Math.min(chosen, count - 1));
}

/** What the token looks at, in the head that is chosen or in the mean of all. */
function shares({ probabilities }) {
  const head = Number(byId("head").value);
  if (head > 0) return probabilities[head - 1][state.from];
  const rows = probabilities.map((of) => of[state.from]);
  return rows[0].map((_, j) => rows.reduce((sum, row) => sum + row[j], 0) / rows.length);
}

function draw() {
  const { tokens } = state.answer, given = shares(state.answer), bar = byId("looks");
  const isFocused = bar.contains(document.activeElement);
  bar.dir = getComputedStyle(byId("words")).direction; // its first token says nothing of the text
  bar.replaceChildren(...tokens.map(({ token }, i) => {
    const button = element("button", { type: "button", className: "look", text: token, dir: "auto" });
    button.style.setProperty("--share", Math.sqrt(given[i]));
    button.title = percent(given[i]);
    button.setAttribute("aria-label", `${token}, ${percent(given[i])}`);
    button.setAttribute("aria-pressed", i === state.from);
    button.tabIndex = i === state.from ? 0 : -1;
    button.addEventListener("click", () => {
      state.from = i;
      draw();
      byId("looks").children[i].focus();
      askNear();
    });
    return button;
  }));
  if (isFocused) bar.children[state.from].focus();
}

/** The word that the token is a part of; nothing is near to the ends of the text and to a blank. */
function askNear() {
  const { tokens } = state.answer, from = tokens[state.from];
  const parts = tokens.filter(({ word }) => word >= 0 && word === from.word);
  const text = parts.length === 0 || from.blank ? "" : state.text.slice(parts[0].start, parts.at(-1).end);
  if (text !== "") showNear({ model: state.model, text, top_k: 12 });
  else {
    byId("near-title").textContent = "Nearest tokens";
    byId("near-problem").hidden = true;
    byId("near").replaceChildren();
  }
}

function askAttention() {
  const { model, text } = state, chosen = byId("layer").value;
  showAttention({ model, text, ...(chosen === "" ? {} : { layer: Number(chosen) }) });
}

/** Takes another model or text; asks nothing before it is looked at. */
export function showInside(model, text) {
  if (model === state.model && text === state.text) return;
  if (model !== state.model) byId("layer").replaceChildren(); // another model may have fewer
  Object.assign(state, { model, text });
  if (isOpen()) askAttention();
}

/** Listens. */
export function beginInside() {
  byId("inside").addEventListener("toggle", () => isOpen() && askAttention());
  byId("layer").addEventListener("change", askAttention);
  byId("head").addEventListener("change", () => state.answer && draw());
  byId("looks").addEventListener("keydown", (event) => walkWords(event, byId("looks")));
}
