/** What tests that cross rooms share: a fresh folder, the real command line in it, and a small model. */

import { assert, assertEquals } from "@std/assert";
import { loadLibrary } from "../ffi/library.ts";

const root = new URL("..", import.meta.url).pathname;

/** The permission set of each command's task, from deno.json. */
const PERMISSIONS: Record<string, string | undefined> = Object.fromEntries(
  Object.entries(JSON.parse(Deno.readTextFileSync(`${root}deno.json`)).tasks as Record<string, { command: string }>)
    .map(
      ([name, { command }]) => [name, /-P=(\S+)/.exec(command)?.[1]],
    ),
);

/** What a command did. */
export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** A folder that goes away with the test. */
export class Place implements Disposable {
  readonly path = Deno.makeTempDirSync({ prefix: "cloze-test-" });

  /** What a command started here sees: the tests may themselves be a task, of another folder and started by npx. */
  readonly env = { NO_COLOR: "1", INIT_CWD: this.path, npm_lifecycle_event: "" };

  /** Writes a file. */
  file(name: string, content: string | Uint8Array): string {
    const path = `${this.path}/${name}`;
    if (typeof content === "string") Deno.writeTextFileSync(path, content);
    else Deno.writeFileSync(path, content);
    return path;
  }

  /** What Deno is called with to run the command line, with the permissions of its task, or all. */
  command(args: string[], all = false): string[] {
    const set = PERMISSIONS[args[0]];
    const permissions = set === undefined || all ? "-A" : `-P=${set}`;
    return ["run", "-q", `--config=${root}deno.json`, permissions, `${root}cli/main.ts`, ...args];
  }

  /** Starts the command line here, with the permissions of its task (all, where another core library is tried). */
  start(args: string[], env: Record<string, string> = {}): Deno.ChildProcess {
    return new Deno.Command(Deno.execPath(), {
      args: this.command(args, "CLOZE_CORE_LIB" in env),
      cwd: this.path,
      env: { ...this.env, ...env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  }

  /** Runs the command line here to its end. */
  async cloze(
    args: string[],
    options: { input?: string | Uint8Array; env?: Record<string, string> } = {},
  ): Promise<Outcome> {
    const child = this.start(args, options.env);
    const writer = child.stdin.getWriter();
    const { input = "" } = options;
    const done = child.output();
    try {
      await writer.write(typeof input === "string" ? new TextEncoder().encode(input) : input);
      await writer.close();
    } catch {
      // The command ended before it read everything, as it does when a flag is wrong.
    }
    const { code, stdout, stderr } = await done;
    const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, stdout: decode(stdout), stderr: decode(stderr) };
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

/** Sentences about a few things, enough to train something tiny on. */
export function smallText(documents = 200): string {
  const animals = ["cat", "dog", "horse", "bird", "고양이"], verbs = ["sees", "hears", "likes", "follows"];
  const out = [];
  for (let i = 0; i < documents; i++) {
    const pick = (list: string[], k: number) => list[(i * 7 + k * 3) % list.length];
    out.push(`The ${pick(animals, 0)} ${pick(verbs, 1)} the ${pick(animals, 2)}.`);
    out.push(`Every ${pick(animals, 3)} ${pick(verbs, i)} a ${pick(animals, 1)} at night.`, "");
  }
  return out.join("\n");
}

/** A config.json smaller than any preset. */
export const SMALL_CONFIG = JSON.stringify({
  hidden_size: 32,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 64,
  max_position_embeddings: 64,
});

/** Flags of a small, quick run on `text.txt` with `config.json` in a place. */
export const SMALL_RUN = [
  "--data",
  "text.txt",
  "--config",
  "config.json",
  "--vocab-size",
  "200",
  "--batch-tokens",
  "256",
]
  .concat(["--max-sequence-length", "32", "--learning-rate", "3e-3"]);

/** A place with text and config, ready for `SMALL_RUN`. */
export function smallPlace(): Place {
  const place = new Place();
  place.file("text.txt", smallText());
  place.file("config.json", SMALL_CONFIG);
  return place;
}

/** A place with a trained model in `model`. */
export async function trainedPlace(steps = 3): Promise<Place> {
  const place = smallPlace();
  const { code, stderr } = await place.cloze(["pretrain", ...SMALL_RUN, "--output", "model", "--steps", String(steps)]);
  assertEquals(code, 0, stderr);
  return place;
}

/** Waits until something holds. @throws {Error} after a minute. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!await holds()) {
    if (performance.now() > deadline) throw new Error("waited a minute for what did not come");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A test that needs the native core: skipped, with the reason, where it is not built. */
export function testWithCore(
  name: string,
  run: (t: Deno.TestContext) => Promise<void> | void,
  options: Pick<Deno.TestDefinition, "sanitizeResources"> = {},
): void {
  let missing: string | undefined;
  try {
    loadLibrary(); // here, because a test that loaded it would be told that it leaks
  } catch (error) {
    missing = (error as Error).message;
  }
  Deno.test({
    ...options,
    name: missing === undefined ? name : `${name} (skipped: ${missing})`,
    ignore: missing !== undefined,
    fn: run,
  });
}

/** Builds the candle engine, which only a few tests need, where that was not done for these sources. */
export async function buildCandle(): Promise<void> {
  const setup = new URL("../tools/setup.ts", import.meta.url).pathname;
  const { success } = await new Deno.Command(Deno.execPath(), { args: ["run", "-A", "-q", setup, "--candle"] })
    .output();
  assert(success, "the candle engine could not be built; deno task candle says why");
}
