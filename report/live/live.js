// Follows a run: asks the server for what is new and puts it into the page in place. Put into the page as text by
// report/live/live_server.ts, after charts.js.
// @ts-nocheck: its globals are the browser's, which the rest of the project does not know.

(() => {
  "use strict";
  const EVERY_MS = 1000, SELDOM_MS = 4000;
  const banner = document.getElementById("live");
  const main = document.querySelector("main");
  let revision = "", state = banner.className;
  /** The parts of the page as the server sent them, to tell which of them are new. */
  let sent = [];

  const hasCharts = (part) => part.querySelector(".charts") !== null;
  const panels = (part) => [...part.querySelectorAll("figure[data-panel]")].map(({ dataset }) => dataset.panel).join();

  /** Puts a new part in the place of an old one; what was folded out stays so, and the focus where it was. */
  function replace(old, fresh) {
    const opened = [...old.querySelectorAll("details")].map(({ open }) => open);
    const details = fresh.querySelectorAll("details");
    opened.forEach((open, i) => details[i]?.toggleAttribute("open", open));
    if (old.matches("details") && fresh.matches("details")) fresh.open = old.open;
    const focusable = "a, button, summary, [tabindex]";
    const at = [...old.querySelectorAll(focusable)].indexOf(document.activeElement);
    const scrolled = [...old.querySelectorAll(".scroll")].map(({ scrollLeft }) => scrollLeft);
    old.replaceWith(fresh);
    fresh.querySelectorAll(".scroll").forEach((box, i) => box.scrollLeft = scrolled[i] ?? 0);
    if (at >= 0) fresh.querySelectorAll(focusable)[at]?.focus({ preventScroll: true });
  }

  /** The charts are drawn anew where they are; what stands around them is replaced. */
  function replaceAround(old, fresh) {
    for (const figure of old.querySelectorAll("figure[data-panel]")) {
      const { summary } = fresh.querySelector(`figure[data-panel="${figure.dataset.panel}"]`).dataset;
      figure.dataset.summary = summary;
    }
    const tail = (part) => [...part.children].slice([...part.children].findIndex((e) => e.matches(".charts")) + 1);
    const [olds, news] = [tail(old), tail(fresh)];
    news.forEach((part, i) => {
      if (olds[i] === undefined) old.append(part);
      else if (olds[i].outerHTML !== part.outerHTML) replace(olds[i], part);
    });
    for (const part of olds.slice(news.length)) part.remove();
  }

  function update({ body, curves }) {
    const template = document.createElement("template");
    template.innerHTML = body; // as the server escaped it; the policy lets none of it run
    const fresh = [...template.content.children], olds = [...main.children];
    const texts = fresh.map((part) => part.outerHTML);
    const isAlike = fresh.length === olds.length &&
      fresh.every((part, i) => hasCharts(part) === hasCharts(olds[i]) && panels(part) === panels(olds[i]));
    if (!isAlike) main.replaceChildren(...fresh);
    else {
      fresh.forEach((part, i) => {
        if (texts[i] === sent[i]) return;
        if (hasCharts(part)) replaceAround(olds[i], part);
        else replace(olds[i], part);
      });
    }
    sent = texts;
    globalThis.clozeCharts.show(curves, isAlike);
  }

  function say(text, kind) {
    state = kind;
    banner.className = kind;
    if (banner.textContent !== text) banner.textContent = text;
  }

  async function follow() {
    try {
      const response = await fetch(`/figures?after=${revision}`);
      if (!response.ok) throw new Error((await response.json()).error);
      const answer = await response.json();
      if (answer.body !== undefined) update(answer);
      revision = answer.revision;
      say(answer.said, answer.state);
    } catch {
      if (state === "ended" || state === "stopped") return; // cloze ended with its run
      say("cloze does not answer any more: these are the last figures that it sent.", "lost");
    }
    setTimeout(follow, state === "going" || state === "waiting" ? EVERY_MS : SELDOM_MS);
  }
  follow();
})();
