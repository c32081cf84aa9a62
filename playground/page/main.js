/* What is on the page, and what happens when it is touched. */

import { drawAnswers } from "./answers.js";
import { ask, byId, element, grouped, newestOnly, signed } from "./ask.js";
import { beginInside, showInside } from "./inside.js";
import { drawTraining } from "./training.js";
import { blanked, drawWords, movedBlanks, walkWords } from "./words.js";

/** As the server knows a blank in every model's text; a model's own mask token may be called otherwise. */
const BLANK = /_{3,}|\[MASK\]|<mask>/;
const EXAMPLE = "In autumn the ____ fall from the trees.";

/** `blanks` are the words that were pressed; those that are written as ____ are in the text itself. */
const state = { text: EXAMPLE, blanks: [], tokens: [], scored: undefined, before: undefined, models: [] };

const asked = () => blanked(state.text, state.blanks);
const model = () => byId("model").value;
const other = () => byId("other").value;
const checkpoints = () => state.models.filter(({ run }) => run === model());

const problems = new Map();
function problem(kind, error) {
  if (error === undefined) problems.delete(kind);
  else problems.set(kind, error.hint === undefined ? error.message : `${error.message} (${error.hint})`);
  const text = [...new Set(problems.values())].join(" · ");
  byId("problem").textContent = text;
  byId("problem").hidden = text === "";
}

const showTokens = newestOnly((question) => ask("/tokenize", question), (answer, error, { text }) => {
  problem("tokenize", error);
  if (answer === undefined || text !== state.text) return;
  const isAsked = hasBlank(); // before it was known how the text is cut
  state.tokens = answer.tokens;
  draw();
  if (!isAsked) askFill();
});

const showScore = newestOnly((question) => ask("/score", question), (answer, error, { text }) => {
  const isEmpty = error?.status === 422; // nothing to score is no problem
  problem("score", isEmpty ? undefined : error);
  if (text !== state.text) return;
  state.scored = answer;
  const output = byId("score");
  output.textContent = answer === undefined ? "" : scoreText(answer);
  if (state.tokens.length > 0) draw();
});

function scoreText({ score, perplexity }) {
  const before = state.before;
  const change = before === undefined ? "" : `${signed(score - before)} nats by your choice · `;
  return `${change}score ${signed(score)} nats · perplexity ${
    perplexity < 100 ? perplexity.toFixed(1) : grouped(perplexity)
  }`;
}

const fillAll = async ({ text, models, topK }) =>
  await Promise.all(models.map(async ({ id, name, step }) => ({
    name,
    step,
    ...await ask("/fill", { model: id, text, top_k: topK }),
  })));

const showFill = newestOnly(fillAll, (answer, error, { text }) => {
  problem("fill", error);
  if (text !== asked()) return;
  drawAnswers(answer ?? [], pick);
  askRest();
});

const showTraining = newestOnly(fillAll, (answer, error, { text }) => {
  if (text !== asked()) return;
  problem("training", error);
  drawTraining(answer ?? [], shownStep());
});

function hasBlank() {
  return state.blanks.length > 0 || BLANK.test(state.text) || state.tokens.some(({ blank }) => blank);
}

function askFill() {
  const text = asked();
  if (!hasBlank()) {
    problem("fill", undefined);
    drawAnswers([], pick);
    byId("training").replaceChildren();
    return askRest();
  }
  const step = shownStep();
  const shown = checkpoints().find((entry) => entry.step === step);
  const first = { id: shown?.id ?? model(), name: step === undefined ? model() : `${model()}, update ${step}` };
  const second = other() === "" ? [] : [{ id: other(), name: other() }];
  showFill({ text, models: [first, ...second], topK: 8 });
}

/** What is asked when the answers are there: they do not wait for it. */
function askRest() {
  const text = asked();
  if (state.scored === undefined) showScore({ model: model(), text: state.text });
  if (hasBlank() && checkpoints().length > 0) showTraining({ text, models: checkpoints(), topK: 3 });
  showInside(model(), text);
}

/** The update of the checkpoint that is looked at; `undefined` at the end of the slider: the model itself. */
function shownStep() {
  return checkpoints()[Number(byId("steps").value)]?.step;
}

function askAll() {
  showTokens({ model: model(), text: state.text });
  if (hasBlank()) askFill();
}

function draw() {
  drawWords(state.text, state.tokens, state.blanks, state.scored?.tokens, press);
}

function press({ start, end, tokens }) {
  if (tokens[0].blank) return byId("text").focus(); // it is written in the text
  const pressed = state.blanks.some((blank) => blank.start === start);
  state.blanks = pressed
    ? state.blanks.filter((blank) => blank.start !== start)
    : [...state.blanks, { start, end }].sort((a, b) => a.start - b.start);
  draw();
  askFill();
}

/** Puts an answer into the text and shows what it changes. */
function pick(blank, { word, joined }) {
  const all = [...state.blanks, ...state.tokens.filter((token) => token.blank)].sort((a, b) => a.start - b.start);
  if (all[blank] === undefined) return; // its answers came before the words of a new text
  const { start, end } = all[blank];
  const before = state.text.slice(0, start);
  const text = (joined ? before.trimEnd() : before) + word + state.text.slice(end);
  const isWord = state.blanks.some((pressed) => pressed.start === start);
  const score = isWord ? state.scored?.score : undefined; // a written blank had no score to compare with
  edit(text);
  state.before = score;
}

function edit(text) {
  state.blanks = movedBlanks(state.blanks, state.text, text);
  state.text = text;
  state.tokens = [];
  state.scored = undefined;
  state.before = undefined;
  if (byId("text").value !== text) byId("text").value = text;
  sessionStorage.setItem("text", text);
  askAll();
}

function chooseModel() {
  document.title = `${byId("model").selectedOptions[0].text} · cloze playground`;
  const steps = checkpoints();
  byId("training-card").hidden = steps.length === 0;
  byId("steps").max = steps.length;
  byId("steps").value = steps.length;
  showStep();
  state.scored = undefined;
  state.before = undefined;
  askAll();
}

function showStep() {
  byId("step").textContent = shownStep() ?? "the last one";
}

async function begin() {
  history.replaceState(null, "", "/"); // the ticket is spent
  state.text = sessionStorage.getItem("text") ?? EXAMPLE;
  byId("text").value = state.text;
  byId("text").addEventListener("input", (event) => edit(event.target.value));
  byId("words").addEventListener("keydown", (event) => walkWords(event, byId("words")));
  beginInside();
  byId("figures").addEventListener(
    "change",
    (event) => byId("words").classList.toggle("figures", event.target.checked),
  );
  byId("model").addEventListener("change", chooseModel);
  byId("other").addEventListener("change", askFill);
  byId("steps").addEventListener("input", () => {
    showStep();
    askFill();
  });
  try {
    const { models } = await ask("/models");
    state.models = models;
    const own = models.filter(({ run }) => run === undefined);
    byId("model").replaceChildren(...own.map(({ id, name }) => element("option", { value: id, text: name })));
    const choices = [
      { id: "", name: "nothing" },
      ...models.map((entry) => ({
        id: entry.id,
        name: entry.step === undefined ? entry.name : `${entry.name}, update ${entry.step}`,
      })),
    ];
    byId("other").replaceChildren(...choices.map(({ id, name }) => element("option", { value: id, text: name })));
    byId("other-label").hidden = models.length < 2;
    chooseModel();
  } catch (error) {
    problem("models", error);
  }
}

begin();
