/* The text as words that can be blanked, each in the colour of its surprise. */

import { byId, element } from "./ask.js";

/** Nats at which a token is as coloured as it gets. */
const MOST_SURPRISE = 10;

/** Words of a text: neighbouring tokens of the same number. */
export function wordsOf(tokens) {
  const words = [];
  for (const token of tokens) {
    const last = words.at(-1);
    if (last !== undefined && token.word >= 0 && last.word === token.word) {
      last.tokens.push(token);
      last.end = token.end;
    } else words.push({ word: token.word, start: token.start, end: token.end, tokens: [token] });
  }
  return words;
}

/** The text that the model is asked: the words that were pressed are blanks. */
export function blanked(text, blanks) {
  let asked = "", at = 0;
  for (const { start, end } of blanks) {
    asked += `${text.slice(at, start)}____`;
    at = end;
  }
  return asked + text.slice(at);
}

/** Blanks after the text was edited: those behind the edit move with it, those that it touches are gone. */
export function movedBlanks(blanks, before, after) {
  let same = 0;
  while (same < Math.min(before.length, after.length) && before[same] === after[same]) same++;
  let tail = 0;
  const most = Math.min(before.length, after.length) - same;
  while (tail < most && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail++;
  const edited = before.length - tail, shift = after.length - before.length;
  return blanks.flatMap(({ start, end }) => {
    if (end <= same) return [{ start, end }];
    return start >= edited ? [{ start: start + shift, end: end + shift }] : [];
  });
}

/** Draws the words; `surprises` are the tokens of /score, if they are there. */
export function drawWords(text, tokens, blanks, surprises, onPress) {
  const bar = byId("words");
  const focused = [...bar.children].indexOf(document.activeElement);
  const nats = new Map((surprises ?? []).map((token) => [token.start, token]));
  bar.replaceChildren(
    ...wordsOf(tokens).map((word, i) => {
      const pressed = word.tokens[0].blank || blanks.some(({ start }) => start === word.start);
      const shown = text.slice(word.start, word.end);
      const scored = word.tokens.map(({ start }) => nats.get(start)?.log_probability ?? null);
      const known = !pressed && !scored.includes(null);
      const surprise = known ? -scored.reduce((sum, x) => sum + x, 0) : undefined;
      const pieces = pressed
        ? [element("span", { className: "piece", text: "____" })]
        : word.tokens.map((token, piece) => {
          const letters = element("span", { className: "letters", text: text.slice(token.start, token.end) });
          const span = element("span", { className: "piece", children: [letters] });
          if (!known) return span;
          const rank = nats.get(token.start).rank;
          span.style.setProperty("--surprise", Math.min(1, -scored[piece] / MOST_SURPRISE));
          span.title = `${token.token}: ${(-scored[piece]).toFixed(2)} nats, ${
            rank === 0 ? "the first guess" : `${rank} likelier`
          }`;
          span.append(element("span", { className: "nats", text: (-scored[piece]).toFixed(1) }));
          return span;
        });
      const button = element("button", { type: "button", className: "word", children: pieces });
      if (word.tokens.some(({ unknown }) => unknown)) button.classList.add("unknown");
      const heard = surprise === undefined ? "" : `, surprise ${surprise.toFixed(1)} nats`;
      button.setAttribute("aria-pressed", pressed);
      button.setAttribute("aria-label", pressed ? `blank, was ${shown}` : `${shown}${heard}`);
      button.tabIndex = i === Math.max(0, focused) ? 0 : -1;
      button.addEventListener("click", () => onPress(word));
      return button;
    }),
  );
  if (focused >= 0) bar.children[Math.min(focused, bar.children.length - 1)]?.focus();
}

/** One stop for the tab key, arrows between the words. */
export function walkWords(event, bar) {
  const words = [...bar.children];
  const at = words.indexOf(document.activeElement);
  const isRightToLeft = getComputedStyle(bar).direction === "rtl";
  const forward = isRightToLeft ? "ArrowLeft" : "ArrowRight", back = isRightToLeft ? "ArrowRight" : "ArrowLeft";
  const to = { [forward]: at + 1, [back]: at - 1, Home: 0, End: words.length - 1 }[event.key];
  if (at < 0 || to === undefined || words[to] === undefined) return;
  event.preventDefault();
  words[at].tabIndex = -1;
  words[to].tabIndex = 0;
  words[to].focus();
}
