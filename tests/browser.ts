/** A real Chromium that is driven through its debugging protocol, for tests of pages. */

import { loadLibrary } from "../ffi/library.ts";
import { browser } from "../report/chromium.ts";

/** Why tests cannot open a page in a browser here, if they cannot. */
function missing(): string | undefined {
  if (browser === undefined) return "no chromium was found";
  try {
    loadLibrary(); // here, because a test that loaded it would be told that it leaks
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** A test that needs a Chromium and the core. */
export function testInChromium(name: string, fn: (t: Deno.TestContext) => Promise<void>): void {
  const reason = missing();
  Deno.test({ name: reason === undefined ? name : `${name} (skipped: ${reason})`, ignore: reason !== undefined, fn });
}

/** Colours are painted on a canvas, which knows every way to write one; backgrounds are laid over each other. */
const FAINT = `(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const over = (top, below) => [0, 1, 2].map((i) => (top[i] * top[3] + below[i] * (255 - top[3])) / 255);
  const light = (color) => {
    const [r, g, b] = color.map((x) => x / 255 <= 0.04045 ? x / 255 / 12.92 : ((x / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  const behind = (node) => node === null ? [255, 255, 255]
    : over(rgba(getComputedStyle(node).backgroundColor), behind(node.parentElement));
  const found = new Set(), texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const { textContent, parentElement: element } = texts.currentNode;
    if (textContent.trim() === "" || !element.checkVisibility() || element.closest("script, style, noscript")) continue;
    const ground = behind(element), ink = over(rgba(getComputedStyle(element).color), ground);
    const [a, b] = [light(ink), light(ground)], contrast = Math.max(a, b) / Math.min(a, b);
    if (contrast < 4.5) found.add(contrast.toFixed(2) + " " + element.tagName + " " + textContent.trim().slice(0, 40));
  }
  return [...found];
})()`;

/** A page that is open. */
export class Page implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #profile: string;
  readonly #drained: Promise<void>;
  #socket!: WebSocket;
  #next = 1;
  readonly #answers = new Map<number, (answer: { result?: unknown; error?: { message: string } }) => void>();
  /** What the console said that is worse than a log, and scripts that failed. */
  readonly complaints: string[] = [];

  private constructor(process: Deno.ChildProcess, profile: string, drained: Promise<void>) {
    this.#process = process;
    this.#profile = profile;
    this.#drained = drained;
  }

  /** Opens an address in a window of its own. */
  static async open(address: string, width = 1280): Promise<Page> {
    const profile = await Deno.makeTempDir();
    const process = new Deno.Command(browser!, {
      args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
        .concat(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .concat([`--user-data-dir=${profile}`, `--window-size=${width},900`, "--remote-debugging-port=0"])
        .concat(["--remote-allow-origins=*", "about:blank"]),
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const lines = process.stderr.pipeThrough(new TextDecoderStream()).getReader();
    let said = "", endpoint: string | undefined;
    while ((endpoint = /ws:\/\/(127\.0\.0\.1:\d+)/.exec(said)?.[1]) === undefined) {
      const { value, done } = await lines.read();
      if (done) throw new Error(`chromium did not start: ${said}`);
      said += value;
    }
    const drained = (async () => {
      while (!(await lines.read()).done);
    })();
    const page = new Page(process, profile, drained);
    const targets = await (await fetch(`http://${endpoint}/json/list`)).json();
    await page.#connect(targets.find(({ type }: { type: string }) => type === "page").webSocketDebuggerUrl);
    for (const domain of ["Runtime", "Log", "Page"]) await page.send(`${domain}.enable`);
    await page.send("Emulation.setDeviceMetricsOverride", { width, height: 900, deviceScaleFactor: 1, mobile: false });
    await page.send("Page.navigate", { url: address });
    return page;
  }

  async #connect(url: string): Promise<void> {
    this.#socket = new WebSocket(url);
    this.#socket.onmessage = ({ data }) => {
      const { id, method, params, ...answer } = JSON.parse(data);
      if (id !== undefined) this.#answers.get(id)?.(answer);
      else if (method === "Runtime.exceptionThrown") {
        this.complaints.push(params.exceptionDetails.exception?.description);
      } else if (method === "Log.entryAdded" && ["error", "warning"].includes(params.entry.level)) {
        this.complaints.push(params.entry.text);
      }
    };
    await new Promise((resolve, reject) => {
      this.#socket.onopen = resolve;
      this.#socket.onerror = reject;
    });
  }

  /** A call of the protocol. */
  async send(method: string, params: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const id = this.#next++;
    const answer = new Promise<{ result?: unknown; error?: { message: string } }>((done) =>
      this.#answers.set(id, done)
    );
    this.#socket.send(JSON.stringify({ id, method, params }));
    const { result, error } = await answer;
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result as Record<string, unknown>;
  }

  /** The value of an expression in the page. */
  // deno-lint-ignore no-explicit-any
  async value(expression: string): Promise<any> {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", {
      expression,
      awaitPromise: true,
      returnByValue: true,
    }) as { result: { value: unknown }; exceptionDetails?: { text: string; exception?: { description: string } } };
    if (exceptionDetails !== undefined) {
      throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    }
    return result.value;
  }

  /** Waits until an expression is true. */
  async until(expression: string): Promise<void> {
    const end = performance.now() + 20_000;
    while (!(await this.value(expression).catch(() => false))) {
      if (performance.now() > end) throw new Error(`the page never came to: ${expression}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Shows the page as to whoever wants it dark, or light. */
  async scheme(value: "light" | "dark"): Promise<void> {
    await this.send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value }] });
  }

  /** Texts whose contrast with what is behind them is below 4.5 (WCAG 2.2, 1.4.3), with the figure. */
  async faint(): Promise<string[]> {
    return await this.value(FAINT);
  }

  /** Presses a key as a keyboard does. */
  async key(key: string): Promise<void> {
    const codes: Record<string, number> = { Enter: 13, Tab: 9, ArrowRight: 39, ArrowLeft: 37, Home: 36, End: 35 };
    const event = {
      key,
      code: key,
      windowsVirtualKeyCode: codes[key] ?? 0,
      ...(key === "Enter" ? { text: "\r" } : {}),
    };
    await this.send("Input.dispatchKeyEvent", { type: "keyDown", ...event });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", ...event });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#socket.onclose = resolve);
    await this.send("Browser.close").catch(() => {});
    await closed;
    await this.#process.status;
    await this.#drained;
    await Deno.remove(this.#profile, { recursive: true }).catch(() => {});
  }
}
