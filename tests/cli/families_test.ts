/** Every family from the command line: trained, asked, measured, fine-tuned, gone on with, extended. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { FAMILIES } from "../../model/families.ts";
import { type Place, SMALL_RUN, smallPlace, testWithCore } from "../support.ts";

const SIZES = SMALL_RUN.filter((word) => word !== "--config" && word !== "config.json");

/** Runs a command that has to succeed, and gives what it said. */
async function good(place: Place, args: string[], input = ""): Promise<string> {
  const { code, stdout, stderr } = await place.cloze(args, { input });
  assertEquals(code, 0, `${args.join(" ")}\n${stderr}`);
  return stdout + stderr;
}

const json = (place: Place, path: string) => JSON.parse(Deno.readTextFileSync(`${place.path}/${path}`));

for (const { model_type, architectures } of FAMILIES.filter(({ model_type }) => model_type !== "bert")) {
  const [masked, classifier] = ["mlm", "sequence_classification"].map((kind) =>
    Object.keys(architectures).find((name) => architectures[name] === kind)
  );

  testWithCore(
    `${model_type}: trained by preset, predicted, measured, fine-tuned, gone on with and extended`,
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
      const from = ["pretrain", "--from", "tuned", "--data", "text.txt", "--steps", "1", "--max-sequence-length", "32"];
      assertStringIncludes(await good(place, [...from, "--output", "next"]), "has none: its head on tokens");
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
