/** Every family from the command line: trained, asked, measured, fine-tuned, gone on with, extended. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Classifier, Embedder, FillMask, Scorer } from "../../mod.ts";
import { FAMILIES } from "../../model/families.ts";
import { Playground } from "../../playground/server.ts";
import { type Place, SMALL_RUN, smallPlace, testWithCore } from "../support.ts";

const SIZES = SMALL_RUN.filter((word) => word !== "--config" && word !== "config.json");

/** Runs a command that has to succeed, and gives what it said. */
async function good(place: Place, args: string[], input = ""): Promise<string> {
  const { code, stdout, stderr } = await place.cloze(args, { input });
  assertEquals(code, 0, `${args.join(" ")}\n${stderr}`);
  return stdout + stderr;
}

const json = (place: Place, path: string) => JSON.parse(Deno.readTextFileSync(`${place.path}/${path}`));

/** Asks a folder through the library and through the playground's questions. */
async function asksAsProgram(folder: string): Promise<void> {
  const text = "The ____ sees the dog.";
  using filler = await FillMask.open(folder, { threads: 1 });
  const [{ masks }] = await filler.fill([text]);
  using scorer = await Scorer.open(folder, { threads: 1 });
  assert((await scorer.score(["The dog sees the bird."]))[0].perplexity > 1);
  using embedder = await Embedder.open(folder, { threads: 1 });
  assert((await embedder.embed([text]))[0].embedding.every(Number.isFinite));
  await using playground = new Playground({ models: [folder], port: 0, threads: 1 });
  const [name, value] = playground.header.split(": ");
  const ask = async (path: string) => {
    const body = JSON.stringify({ model: folder.split("/").at(-1), text, top_k: 1 });
    const headers = { [name]: value, "Content-Type": "application/json" };
    const answer = await fetch(`http://127.0.0.1:${playground.port}${path}`, { method: "POST", headers, body });
    assertEquals(answer.status, 200);
    return await answer.json();
  };
  assertEquals((await ask("/tokenize")).tokens.filter(({ blank }: { blank: boolean }) => blank).length, 1);
  assertEquals((await ask("/fill")).blanks[0].answers[0].id, masks[0][0].id);
  assert((await ask("/score")).perplexity > 1);
}

for (const { model_type, architectures } of FAMILIES.filter(({ model_type }) => model_type !== "bert")) {
  const [masked, classifier, tagger] = ["mlm", "sequence_classification", "token_classification"].map((kind) =>
    Object.keys(architectures).find((name) => architectures[name] === kind)
  );

  testWithCore(
    `${model_type}: trained by preset, asked, measured, fine-tuned, gone on with, resumed and extended`,
    async () => {
      using place = smallPlace();
      const run = ["pretrain", ...SIZES, "--architecture", model_type, "--steps", "2", "--output", "model"];
      await good(place, run);
      const config = json(place, "model/config.json");
      assertEquals([config.model_type, config.architectures], [model_type, [masked]]);
      const filled = [];
      for (const blank of ["[MASK]", "<mask>", "____"]) {
        filled.push(await good(place, ["predict", "--model", "model"], `The ${blank} sees the dog.\n`));
      }
      assertEquals(new Set(filled).size, 1);
      assertStringIncludes(filled[0], "sees the dog.");
      await good(place, ["evaluate", "--model", "model", "--data", "text.txt"]);
      place.file("labels.tsv", "text\tlabel\n" + "a dog sees\tgood\na bird likes\tbad\n".repeat(10));
      const labels = ["--train", "labels.tsv", "--valid", "labels.tsv", "--epochs", "1"];
      const tuned = await good(place, ["finetune", "--model", "model", ...labels, "--output", "tuned"]);
      assertStringIncludes(tuned, "new: ");
      assertEquals(json(place, "tuned/config.json").architectures, [classifier]);
      await good(place, ["predict", "--model", "tuned"], "a dog sees\n");
      place.file("tags.conll", "a O\ndog B-X\n\na O\nbird B-Y\n\n".repeat(10));
      const tags = ["--train", "tags.conll", "--valid", "tags.conll", "--epochs", "1"];
      await good(place, ["finetune", "--model", "model", ...tags, "--output", "tagger"]);
      assertEquals(json(place, "tagger/config.json").architectures, [tagger]);
      assertStringIncludes(await good(place, ["predict", "--model", "tagger"], "a dog\n"), "dog\t");
      const from = ["pretrain", "--from", "tuned", "--data", "text.txt", "--steps", "1", "--max-sequence-length", "32"];
      assertStringIncludes(await good(place, [...from, "--output", "next"]), "has none: its head on tokens");
      const resumed = await good(place, ["pretrain", "--resume", "next", "--steps", "2"]);
      assertStringIncludes(resumed, "resume   after step 1");
      assertStringIncludes(await good(place, ["inspect", "--model", "next"]), "sequences");
      assertStringIncludes(await good(place, ["report", "next", "--text"]), "2 updates");
      for (const folder of ["next", "model"]) await asksAsProgram(`${place.path}/${folder}`);
      using told = await Classifier.open(`${place.path}/tuned`, { threads: 1 });
      assertEquals((await told.classify(["a dog sees"]))[0].labels.length, 2);
      place.file("new.txt", "dogbird\n");
      await good(place, ["extend-vocab", "--model", "model", "--tokens", "new.txt", "--output", "more"]);
      assertEquals(json(place, "more/config.json").vocab_size, config.vocab_size + 1);
      await good(place, ["predict", "--model", "more"], "a [MASK] sees the dogbird\n");
    },
  );
}

testWithCore("pretrain refuses what a family has no class or no position for, by name", async () => {
  using place = smallPlace();
  const run = ["pretrain", ...SIZES, "--architecture", "roberta", "--steps", "1", "--output", "out"];
  const pairs = await place.cloze([...run, "--objective", "mlm+nsp"]);
  assertEquals(pairs.code, 2);
  assertStringIncludes(pairs.stderr, "roberta cannot be trained for mlm+nsp");
  const long = await place.cloze(run.map((word) => word === "32" ? "514" : word));
  assertEquals(long.code, 2);
  assertStringIncludes(long.stderr, "the model has only 513 positions"); // [PAD] of a WordPiece vocabulary is 0
});
