/**
 * How soon the playground is there and how soon it answers, in a real Chromium that runs already, with a `mini` model made
 * of real text: from the start of the process to its address, and from there to the first paint and the first answers; from
 * a click on a word, and from a key pressed in the text, to the answers on the page; /fill by itself. Writes
 * results/playground.json. Not part of the product.
 *
 * usage: deno run -A bench/playground.ts DATA [--rounds 15]
 */

import { Page } from "../tests/browser.ts";
import { Place } from "../tests/support.ts";
import { machine, median } from "./peers.ts";

const HERE = import.meta.dirname!;
const TEXTS: [file: string, lines: number][] = [["en/brown.txt", 8000], ["ko/nsmc.valid.txt", 12_000]];
const MODEL = ["--preset", "mini", "--vocab-size", "8192", "--steps", "20", "--batch-tokens", "1024"];
const SENTENCE = "In the fall the ____ of the trees are red.";
const WORDS = "In the fall the leaves of the trees are red.";

/** Keeps, in the page, when something was pressed and when the answers to it stood there, and were painted. */
const WATCH = `{
  let pressed;
  window.measured = [];
  for (const type of ["click", "keydown"]) {
    addEventListener(type, ({ timeStamp }) => pressed = timeStamp, true);
  }
  new MutationObserver(() => {
    if (pressed === undefined || document.querySelector(".answer") === null) return;
    const began = pressed, there = performance.now();
    pressed = undefined;
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => measured.push({ there: there - began, painted: performance.now() - began });
      port2.postMessage(1);
    });
  }).observe(document.getElementById("answers"), { childList: true });
}`;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Starts a playground as the installed command does, and waits for what it prints. */
async function start(place: Place) {
  const began = Date.now();
  const child = place.start(["playground", "--model", "model"]);
  const until = async (stream: ReadableStream<Uint8Array>, pattern: RegExp) => {
    let said = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream()).values({ preventCancel: true })) {
      said += text;
      const found = pattern.exec(said)?.[0];
      if (found !== undefined) return found;
    }
    throw new Error(`the playground ended: ${said}`);
  };
  const key = until(child.stderr, /Bearer \S+/);
  const address = await until(child.stdout, /http\S+(?=\n)/);
  return { child, began, address_ms: Date.now() - began, address, key };
}

type Started = Awaited<ReturnType<typeof start>>;

/** What the page says of when it was painted first, and when its first answers stood there; since the process began. */
async function openPage(page: Page, { began, address }: Started) {
  await page.send("Page.navigate", { url: address });
  const paint = `performance.getEntriesByName("first-contentful-paint")[0]?.startTime`;
  await page.until(`location.search === "" && document.querySelector(".answer") !== null && ${paint} > 0`);
  const [origin, painted] = await page.value(`[performance.timeOrigin, ${paint}]`);
  return { navigation_to_paint_ms: painted, start_to_paint_ms: origin + painted - began };
}

/** Does something to the page and waits until the answers to it are painted. */
async function answered(page: Page, act: () => Promise<unknown>): Promise<{ there: number; painted: number }> {
  await page.value("void measured.splice(0)");
  await act();
  await page.until("measured.length > 0");
  await pause(150); // what else it asked has come, too
  return await page.value("measured[0]");
}

async function clickAt(page: Page, selector: string): Promise<void> {
  const [x, y] = await page.value(`(() => {
    const { x, y, width, height } = document.querySelector(${JSON.stringify(selector)}).getBoundingClientRect();
    return [x + width / 2, y + height / 2];
  })()`);
  for (const type of ["mousePressed", "mouseReleased"]) {
    await page.send("Input.dispatchMouseEvent", { type, x, y, button: "left", clickCount: 1 });
  }
}

async function write(page: Page, text: string): Promise<void> {
  await page.value(`(() => {
    const box = document.getElementById("text");
    box.value = ${JSON.stringify(text)};
    box.dispatchEvent(new Event("input", { bubbles: true }));
  })()`);
  await pause(300);
}

/** The median of each figure. */
function medians<K extends string>(rounds: Record<K, number>[]): Record<K, number> {
  const names = Object.keys(rounds[0]) as K[];
  return Object.fromEntries(
    names.map((name) => [name, Number(median(rounds.map((round) => round[name])).toFixed(1))]),
  ) as Record<K, number>;
}

async function measure(place: Place, rounds: number) {
  await using page = await Page.open("about:blank");
  const starts = [], clicks = [], keys = [], fills = [];
  for (let round = -1; round < rounds; round++) { // round -1 fills the caches
    const started = await start(place);
    const first = { start_to_address_ms: started.address_ms, ...await openPage(page, started) };
    if (round >= 0) starts.push(first);
    if (round === rounds - 1) {
      await page.value(WATCH);
      await write(page, WORDS);
      for (let i = 0; i < rounds; i++) {
        clicks.push(await answered(page, () => clickAt(page, ".word:nth-child(5)")));
        await clickAt(page, ".word:nth-child(5)");
        await pause(100);
      }
      await write(page, SENTENCE);
      await page.value(`document.getElementById("text").focus()`);
      for (let i = 0; i < rounds; i++) {
        keys.push(
          await answered(page, () => page.send("Input.dispatchKeyEvent", { type: "keyDown", key: "a", text: "a" })),
        );
      }
      const question = { model: "model", text: SENTENCE, top_k: 8 };
      for (let i = -3; i < rounds; i++) {
        const began = performance.now();
        const response = await fetch(new URL("/fill", started.address), {
          method: "POST",
          headers: { authorization: await started.key, "content-type": "application/json" },
          body: JSON.stringify(question),
        });
        const { blanks } = await response.json();
        if (blanks.length !== 1) throw new Error("the answer is none");
        if (i >= 0) fills.push({ fill_ms: performance.now() - began });
      }
    }
    started.child.kill("SIGTERM");
    await started.child.status;
  }
  const named = (what: string, times: { there: number; painted: number }[]) =>
    times.map(({ there, painted }) => ({ [`${what}_to_answer_ms`]: there, [`${what}_to_paint_ms`]: painted }));
  const all = { starts, clicks: named("click", clicks), keys: named("key", keys), fills };
  return { medians: Object.assign({}, ...Object.values(all).map((times) => medians<string>(times))), all };
}

if (import.meta.main) {
  const flag = Deno.args.indexOf("--rounds");
  const rounds = flag < 0 ? 15 : Number(Deno.args[flag + 1]);
  const [data] = Deno.args;
  if (data === undefined || data.startsWith("-")) {
    console.error("usage: deno run -A bench/playground.ts DATA [--rounds 15]");
    Deno.exit(2);
  }
  using place = new Place();
  const texts = await Promise.all(TEXTS.map(async ([file, lines]) => {
    const text = await Deno.readTextFile(`${data}/${file}`);
    return text.split("\n").slice(0, lines).join("\n");
  }));
  place.file("text.txt", texts.join("\n\n"));
  place.file("valid.txt", texts[1].slice(0, 2000));
  const args = ["--data", "text.txt", "--valid", "valid.txt", "--output", "model", "--evaluate-every", "20"];
  const { code, stderr } = await place.cloze(["pretrain", ...args, ...MODEL]);
  if (code !== 0) throw new Error(stderr);
  const { medians, all } = await measure(place, rounds);
  console.log(medians);
  const command = `deno run -A bench/playground.ts ${Deno.args.join(" ")}`;
  const result = { command, machine: await machine(), rounds, medians, ...all };
  await Deno.writeTextFile(`${HERE}/results/playground.json`, JSON.stringify(result, null, 2) + "\n");
}
