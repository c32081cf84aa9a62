/** What stands in the way of a command's files: it is neither overwritten unasked nor written through. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Place, SMALL_RUN, smallPlace, smallText, testWithCore, trainedPlace } from "../support.ts";

Deno.test("train-tokenizer replaces no other tokenizer without --force, and may be called again", async () => {
  using place = new Place();
  place.file("text.txt", smallText());
  place.file("other.txt", "entirely different words of another text\n".repeat(30));
  const train = (data: string, ...flags: string[]) =>
    place.cloze(["train-tokenizer", "--data", data, "--output", "t", "--vocab-size", "100", ...flags]);
  assertEquals((await train("text.txt")).code, 0);
  const names = [...Deno.readDirSync(`${place.path}/t`)].map(({ name }) => name).sort();
  const read = () => names.map((name) => Deno.readTextFileSync(`${place.path}/t/${name}`));
  const good = read();
  Deno.removeSync(`${place.path}/t/tokenizer.json`); // stopped in the middle
  assertEquals((await train("text.txt")).code, 0);
  assertEquals(read(), good);
  const refused = await train("other.txt");
  assertEquals(refused.code, 1, refused.stderr);
  assertStringIncludes(refused.stderr, "only with --force");
  assertStringIncludes(
    refused.stderr,
    "is of another tokenizer than this one\nhint: give another --output, or --force",
  );
  assertEquals(read(), good);
  assertEquals((await train("other.txt", "--force")).code, 0);
  assert(read().join() !== good.join());
});

testWithCore("report and inspect --export overwrite nothing but reports without --force", async () => {
  using place = await trainedPlace();
  for (const args of [["report", "model", "--output", "mine"], ["inspect", "--model", "model", "--export", "mine"]]) {
    place.file("mine", "my notes");
    const refused = await place.cloze(args);
    assertEquals(refused.code, 1, refused.stderr);
    assertStringIncludes(refused.stderr, "or --force to replace it");
    assertEquals(Deno.readTextFileSync(`${place.path}/mine`), "my notes");
    assertEquals((await place.cloze([...args, "--force"])).code, 0);
    assert(Deno.statSync(`${place.path}/mine`).size > 1000);
  }
  assertEquals((await place.cloze(["report", "model", "--output", "page.html"])).code, 0);
  assertEquals((await place.cloze(["report", "model", "--output", "page.html"])).code, 0, "a report is renewed");
  assertEquals((await place.cloze(["inspect", "--model", "model", "--force"])).code, 2);
});

testWithCore("no command writes through a link that was put where it writes", async () => {
  using place = smallPlace();
  const run = ["pretrain", ...SMALL_RUN, "--output", "out", "--steps", "2"];
  assertEquals((await place.cloze(run)).code, 0);
  const targets: string[] = [];
  /** Puts links to files of its own where a file or its temporary could be written. */
  const plant = (folder: string, ...names: string[]) => {
    for (const name of names) {
      const target = place.file(`precious-${targets.length}`, "precious");
      targets.push(target);
      const path = `${place.path}/${folder}/${name}`;
      try {
        Deno.removeSync(path, { recursive: true });
      } catch {
        // It was not there.
      }
      Deno.symlinkSync(target, path);
    }
  };
  plant(
    "out",
    ...["metrics.jsonl.tmp", "report.html.tmp", "model.safetensors.tmp", "SHA256SUMS.tmp", "model.safetensors"],
    ...["SHA256SUMS", "config.json.tmp", ".report.html.tmp", "run.json.tmp"],
  );
  plant("out/checkpoints", ".step-4.tmp", "step-3.tmp");
  plant("out/data", "files.json", "files.json.tmp", "train.shard.tmp", "held_out.shard.tmp", "parts.tmp");
  plant("out/data", "train.document-32.index.tmp", "train.document-32.index", "train.shard", "held_out.shard");
  const resumed = await place.cloze(["pretrain", "--resume", "out", "--steps", "4"]);
  for (const target of targets) assertEquals(Deno.readTextFileSync(target), "precious", target);
  assertEquals(resumed.code, 0, resumed.stderr);
  plant(".", "page.html.tmp", ".page.html.tmp", "batches.tmp", "batches.body.tmp");
  Deno.mkdirSync(`${place.path}/t`);
  plant("t", "tokenizer.json.tmp", "vocab.txt.tmp", "stdin.txt.tmp", "stdin.txt");
  const commands = [
    ["report", "out", "--output", "page.html"],
    ["inspect", "--model", "out", "--export", "batches"],
    ["train-tokenizer", "--data", "-", "--output", "t", "--vocab-size", "100"],
  ];
  for (const args of commands) {
    const { code, stderr } = await place.cloze(args, { input: smallText() });
    assertEquals(code, 0, stderr);
  }
  for (const target of targets) assertEquals(Deno.readTextFileSync(target), "precious", target);
});
