/** What a broken model folder or core library gets. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { locateLibrary } from "../../ffi/mod.ts";
import { type Outcome, Place, testWithCore, trainedPlace } from "../support.ts";

const LINE = "The [MASK] sees the dog.\n";

function assertRefused(outcome: Outcome, ...parts: string[]): void {
  assertEquals(outcome.code, 1, outcome.stderr);
  assertEquals(outcome.stdout, "");
  assertStringIncludes(outcome.stderr, "error: ");
  assertStringIncludes(outcome.stderr, "hint: ");
  assert(!/\n\s+at |panicked|Stack backtrace/.test(outcome.stderr), outcome.stderr);
  for (const part of parts) assertStringIncludes(outcome.stderr, part);
}

testWithCore("a model folder that is broken is refused with what is wrong in it", async (t) => {
  using place = await trainedPlace();
  const model = `${place.path}/model`;
  // Of a folder with checksums nothing more would be said than that they are wrong.
  Deno.removeSync(`${model}/SHA256SUMS`);
  const predict = () => place.cloze(["predict", "--model", "model"], { input: LINE });
  /** Replaces a file for one step. */
  const broken = async (name: string, change: (old: Uint8Array) => Uint8Array | undefined, ...parts: string[]) => {
    await t.step(`${name}: ${parts[0]}`, async () => {
      const path = `${model}/${name}`;
      const old = Deno.readFileSync(path);
      const bytes = change(old);
      if (bytes === undefined) Deno.removeSync(path);
      else Deno.writeFileSync(path, bytes);
      try {
        assertRefused(await predict(), ...parts);
      } finally {
        Deno.removeSync(path, { recursive: true });
        Deno.writeFileSync(path, old);
      }
    });
  };
  const text = (change: (old: string) => string) => (old: Uint8Array) =>
    new TextEncoder().encode(change(new TextDecoder().decode(old)));
  await broken("model.safetensors", (old) => old.subarray(0, old.length / 2), "not a whole safetensors file");
  await broken("model.safetensors", () => new Uint8Array(), "it is empty");
  await broken("model.safetensors", () => new TextEncoder().encode("no tensors here"), "not a whole safetensors file");
  await broken("model.safetensors", text((s) => s), "not a whole safetensors file"); // bytes lost to UTF-8
  await broken("config.json", text((s) => s.replace('"hidden_size": 32', '"hidden_size": 64')), "has shape");
  await broken(
    "config.json",
    text((s) => s.replace('"num_hidden_layers": 2', '"num_hidden_layers": 3')),
    "layer.2",
    "missing",
  );
  await broken(
    "tokenizer.json",
    text((s) => s.replace('"[PAD]": 0', '"[PAD]": 0, "extra": 1000000')),
    "outside",
  );
});

testWithCore("a changed byte of any file of a model folder is refused by predict, evaluate and finetune", async () => {
  using place = await trainedPlace();
  const model = `${place.path}/model`;
  place.file("labeled.tsv", "text\tlabel\n" + "The cat sees.\ta\nThe dog hears.\tb\n".repeat(10));
  const flags = ["--train", "labeled.tsv", "--valid", "labeled.tsv", "--output", "tuned"];
  const commands = [["predict", "--model", "model"], ["evaluate", "--model", "model", "--data", "text.txt"], [
    "finetune",
    "--model",
    "model",
    ...flags,
  ], ["extend-vocab", "--model", "model", "--data", "text.txt", "--output", "more"]];
  let turn = 0;
  for (const name of ["model.safetensors", "config.json", "tokenizer.json", "vocab.txt", "tokenizer_config.json"]) {
    const path = `${model}/${name}`, good = Deno.readFileSync(path);
    const bad = good.slice();
    // The lowest bit of a weight; in a text a space, which nothing but a checksum notices.
    const at = name === "model.safetensors" ? good.length - 4 : good.findLastIndex((byte) => byte === 10);
    bad[at] ^= name === "model.safetensors" ? 1 : 10 ^ 13;
    Deno.writeFileSync(path, bad);
    const args = commands[turn++ % commands.length];
    assertRefused(await place.cloze(args, { input: LINE }), `${name} is damaged or was changed`, "delete ");
    Deno.writeFileSync(path, good);
  }
  Deno.writeTextFileSync(`${model}/SHA256SUMS`, "");
  assertRefused(await place.cloze(commands[0], { input: LINE }), "SHA256SUMS does not list it");
  Deno.removeSync(`${model}/SHA256SUMS`);
  assertEquals((await place.cloze(commands[0], { input: LINE })).code, 0, "a folder of another program has none");
});

testWithCore("a model that is replaced under a running predict gives an error and no other answers", async (t) => {
  using place = await trainedPlace();
  const path = `${place.path}/model/model.safetensors`, good = Deno.readFileSync(path);
  const other = good.slice();
  for (let i = good.length - 4000; i < good.length; i += 4) other[i] ^= 0x40;
  const changes: Record<string, () => void> = {
    "another file of its name": () => {
      Deno.writeFileSync(`${path}.new`, other);
      Deno.renameSync(`${path}.new`, path);
    },
    "written over": () => Deno.writeFileSync(path, other),
    "cut short": () => Deno.truncateSync(path, 1000),
    "removed": () => Deno.removeSync(path),
  };
  for (const [name, change] of Object.entries(changes)) {
    await t.step(name, async () => {
      Deno.writeFileSync(path, good);
      const child = place.start(["predict", "--model", "model"]);
      const writer = child.stdin.getWriter(), reader = child.stdout.getReader();
      await writer.write(new TextEncoder().encode(LINE));
      const { value } = await reader.read();
      assert(value !== undefined && value.length > 0);
      change();
      await writer.write(new TextEncoder().encode(LINE));
      await writer.close();
      assertEquals((await reader.read()).done, true, "no second answer");
      const stderr = await new Response(child.stderr).text();
      assertEquals((await child.status).code, 1, stderr);
      assertStringIncludes(
        stderr,
        `error: ${name === "removed" ? "could not read the model " : ""}${path}`.slice(0, 60),
      );
    });
  }
});

testWithCore("tokenizer and config that disagree are refused", async () => {
  using place = await trainedPlace();
  const path = `${place.path}/model/tokenizer.json`;
  const json = JSON.parse(Deno.readTextFileSync(path));
  const size = Object.keys(json.model.vocab).length;
  json.model.vocab["surplus"] = size;
  Deno.writeTextFileSync(path, JSON.stringify(json));
  Deno.removeSync(`${place.path}/model/SHA256SUMS`);
  assertRefused(
    await place.cloze(["predict", "--model", "model"], { input: LINE }),
    `${size + 1} tokens`,
    `vocab_size ${size}`,
  );
});

Deno.test("a folder that is no model is refused", async () => {
  using place = new Place();
  const missing = await place.cloze(["predict", "--model", "nowhere"], { input: LINE });
  assertEquals(missing.code, 1);
  assertStringIncludes(missing.stderr, "nowhere/config.json: it does not exist");
  assertStringIncludes(missing.stderr, "hint: a model is a folder with a config.json in it");
  const none = await place.cloze(["predict"], { input: LINE });
  assertEquals(none.code, 2);
  assertStringIncludes(none.stderr, "no finished run");
});

testWithCore("a core library that is missing, no library, or of another version is refused with a hint", async () => {
  using place = await trainedPlace();
  const predict = (CLOZE_CORE_LIB: string) =>
    place.cloze(["predict", "--model", "model"], { input: LINE, env: { CLOZE_CORE_LIB } });
  assertRefusedLoosely(await predict(`${place.path}/gone.so`), "does not exist");
  assertRefused(await predict(place.file("text.so", "not a library")), "could not be loaded");
  // Another version: the same library with another answer to cloze_abi_hash, which is a constant in its code.
  const { ABI_HASH } = await import("../../ffi/symbols.gen.ts");
  const library = Deno.readFileSync(locateLibrary());
  const word = new Uint8Array(Uint32Array.of(ABI_HASH).buffer);
  let changed = 0;
  for (let i = 0; i + 4 <= library.length; i++) {
    if (word.every((byte, j) => library[i + j] === byte)) {
      library[i] ^= 0xff;
      changed++;
    }
  }
  assert(changed > 0, "the hash was not found in the library");
  assertRefused(await predict(place.file("other.so", library)), "another version", "deno task core");
});

testWithCore("--engine candle without its library, which stands beside the core, says how it is built", async () => {
  using place = await trainedPlace();
  const CLOZE_CORE_LIB = place.file("alone.so", Deno.readFileSync(locateLibrary()));
  const args = ["predict", "--model", "model", "--engine", "candle"];
  const outcome = await place.cloze(args, { input: LINE, env: { CLOZE_CORE_LIB } });
  assertRefused(outcome, "the candle engine is not built", "deno task candle");
});

function assertRefusedLoosely(outcome: Outcome, part: string): void {
  assertEquals(outcome.code, 1, outcome.stderr);
  assertStringIncludes(outcome.stderr, part);
}

testWithCore("predict says what it cannot read, and that its answers cannot be written", async () => {
  using place = await trainedPlace();
  Deno.mkdirSync(`${place.path}/folder`);
  assertRefusedLoosely(await place.cloze(["predict", "--model", "model", "folder"]), "folder");
  if (Deno.build.os !== "linux") return; // where there is /dev/full
  const main = new URL("../../cli/main.ts", import.meta.url).pathname;
  const command = `echo 'The [MASK].' | "$0" run -q -A "$1" predict --model model > /dev/full`;
  const { code, stderr } = await new Deno.Command("sh", {
    args: ["-c", command, Deno.execPath(), main],
    cwd: place.path,
    env: place.env,
  }).output();
  assertEquals(code, 1);
  assertStringIncludes(new TextDecoder().decode(stderr), "error: could not write to standard output: No space left");
});
