/** `cloze predict` on a terminal, which util-linux's `script` makes. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Place, testWithCore, trainedPlace } from "../support.ts";

const main = new URL("../../cli/main.ts", import.meta.url).pathname;
const config = new URL("../../deno.json", import.meta.url).pathname;

const hasScript = await new Deno.Command("script", { args: ["--version"], stdout: "null", stderr: "null" }).output()
  .then(({ success }) => success, () => false);

/** A command on a terminal of 80 columns, with the permissions of its task. */
class Terminal {
  readonly #child: Deno.ChildProcess;
  readonly #reader: ReadableStreamDefaultReader<string>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  /** What it has shown since it was last asked. */
  #shown = "";

  constructor(place: Place, args: string) {
    const command = `stty cols 80; "${Deno.execPath()}" run -q -P=predict --config "${config}" "${main}" ${args}`;
    this.#child = new Deno.Command("script", {
      args: ["-qec", command, "/dev/null"],
      cwd: place.path,
      env: { ...place.env, TERM: "xterm" },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#reader = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#writer = this.#child.stdin.getWriter();
  }

  async type(keys: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(keys));
  }

  /** What is shown until a text comes. */
  async until(text: string): Promise<string> {
    while (!this.#shown.includes(text)) {
      const { value, done } = await this.#reader.read();
      assert(!done, `it ended before it said ${text}: ${this.#shown}`);
      this.#shown += value;
    }
    const end = this.#shown.indexOf(text) + text.length;
    const before = this.#shown.slice(0, end);
    this.#shown = this.#shown.slice(end);
    return before;
  }

  /** Waits for its end. */
  async code(): Promise<number> {
    while (!(await this.#reader.read()).done);
    await this.#writer.close().catch(() => {});
    return (await this.#child.status).code;
  }
}

testWithCore(
  `predict on a terminal asks, explains, brings earlier lines back and ends quietly${
    hasScript ? "" : " (skipped: util-linux's script is not at hand)"
  }`,
  async () => {
    if (!hasScript) return;
    using place = await trainedPlace(2);
    const terminal = new Terminal(place, "predict --model model --top-k 1");
    assertStringIncludes(await terminal.until("> "), "Type a sentence with a [MASK] or ____ in it.");
    await terminal.type("no blank\r");
    const explained = await terminal.until("is missing");
    assertStringIncludes(explained, "there is no blank in it: write [MASK], <mask> or ____");
    assert(!explained.includes("error"), explained);
    await terminal.until("> ");
    await terminal.type("The cat [MASK] the 고양이.\r");
    assertStringIncludes(await terminal.until("%"), "고양이.");
    await terminal.until("> ");
    await terminal.type("\x1b[A\x1b[A\x1b[B\x1b[F!\r"); // up, up, down, end
    assertStringIncludes(await terminal.until("%"), "고양이.!");
    await terminal.until("> ");
    await terminal.type("given up\x03"); // Ctrl-C clears a line
    await terminal.until("> ");
    await terminal.type("\x04"); // Ctrl-D ends
    assertEquals(await terminal.code(), 0);

    const stopped = new Terminal(place, "predict --model model");
    await stopped.until("> ");
    await stopped.type("\x03");
    assertEquals(await stopped.code(), 0);
  },
);
