/** The models as programs use them. */

import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { ClozeError } from "../config/cloze_error.ts";
import { testWithCore, trainedPlace } from "../tests/support.ts";
import { Classifier } from "./classifier.ts";
import { FillMask } from "./fill_mask.ts";
import { openModelFolder } from "../model/model_folder.ts";
import { Scorer } from "./scorer.ts";

testWithCore("a model folder fills blanks and scores; fine-tuned, it classifies", async () => {
  using place = await trainedPlace(60);
  const model = `${place.path}/model`;
  const sentences = ["The cat sees the dog.", "dog the cat. sees The"];

  using scorer = await Scorer.open(model);
  const [good, bad] = await scorer.score(sentences);
  assert(good.score > bad.score, "word order counts");
  const [alone] = await scorer.score([sentences[1]]);
  assertAlmostEquals(alone.score, bad.score, 1e-3);
  assertEquals(good.tokens.map(({ token }) => token).join(" ").replaceAll(" ##", ""), "The cat sees the dog .");
  assertEquals(await scorer.score([]), []);
  await assertRejects(() => scorer.score([" "]), ClozeError, "there is no token in it");

  using blanks = await FillMask.open(await openModelFolder(model), { topK: 1 });
  assertEquals((await blanks.fill(["The ____ sees."]))[0].masks[0].length, 1);

  // Of two blanks the surer one is filled first, and the other is asked again.
  const [both] = await blanks.fill(["The ____ sees the ____."]);
  const surer = both.masks[0][0].probability > both.masks[1][0].probability ? 0 : 1;
  const parts = ["The ", " sees the ", "."], words = both.masks.map(([{ token }]) => token);
  assert(!words[surer].startsWith("##"));
  const half = surer === 0 ? `${parts[0]}${words[0]}${parts[1]}____.` : `The ____${parts[1]}${words[1]}.`;
  assertEquals((await blanks.fill([half]))[0].sequence, both.sequence);

  // What does not fit is left out, at both ends; blanks that are too far apart are refused.
  const filler = "The cat sees the dog. ".repeat(200);
  const [middle, first] = await blanks.fill([`${filler}The ____ sees. ${filler}`, `The ____ sees. ${filler}`]);
  assertEquals([middle.truncated, first.truncated, both.truncated], [true, true, false]);
  assert(middle.sequence.startsWith(filler) && middle.sequence.endsWith(filler) && !middle.sequence.includes("___"));
  await assertRejects(() => blanks.fill([`The ____ sees. ${filler} The ____.`]), ClozeError, "tokens apart");

  // Targets have the probabilities that they have among all answers; of several tokens, by the chain rule.
  using all = await FillMask.open(model, { topK: 100_000 });
  const probability = async (line: string, token: string) =>
    (await all.fill([line]))[0].masks[0].find((answer) => answer.token === token)!.probability;
  using chosen = await FillMask.open(model, { targets: ["dog", "cat", "dog cat", "dog dog"] });
  const [line] = await chosen.fill(["The ____ sees."]);
  const ranked = Object.fromEntries(line.masks[0].map((answer) => [answer.token, answer.probability]));
  assertEquals(Object.values(ranked), Object.values(ranked).toSorted((a, b) => b - a));
  assertEquals(line.sequence, `The ${line.masks[0][0].token} sees.`);
  assertAlmostEquals(ranked.cat, await probability("The ____ sees.", "cat"), 1e-5);
  const chain = await probability("The ____ ____ sees.", "dog") * await probability("The dog ____ sees.", "cat");
  assertAlmostEquals(ranked["dog cat"], chain, 1e-6);
  await assertRejects(() => FillMask.open(model, { targets: ["☃"] }), ClozeError, "cannot be an answer");
  await assertRejects(() => Classifier.open(model), ClozeError, "has no classifier");

  place.file("train.tsv", "text\tlabel\nThe cat sees.\tno\nThe dog hears.\tyes\n");
  const { code, stderr } = await place.cloze([
    ...["finetune", "--model", "model", "--train", "train.tsv", "--valid", "train.tsv", "--output", "classifier"],
    ...["--epochs", "60", "--learning-rate", "3e-3"],
  ]);
  assertEquals(code, 0, stderr);
  using classifier = await Classifier.open(`${place.path}/classifier`);
  assertEquals(classifier.labels, ["no", "yes"]);
  const texts = ["The dog hears.", "The cat sees.", ""];
  const classified = await classifier.classify(texts);
  assertEquals(classified.map(({ input }) => input), texts);
  assertEquals(classified.slice(0, 2).map(({ labels }) => labels[0].label), ["yes", "no"]);
  const [one] = await classifier.classify([texts[1]]);
  assertAlmostEquals(one.labels[0].probability, classified[1].labels[0].probability, 1e-5);
  for (const open of [FillMask.open, Scorer.open]) {
    await assertRejects(async () => await open(`${place.path}/classifier`), ClozeError, "cannot");
  }

  // With problem_type multi_label_classification each label has the sigmoid of its logit; softmax is their odds' share.
  const config = JSON.parse(Deno.readTextFileSync(`${place.path}/classifier/config.json`));
  const several = JSON.stringify({ ...config, problem_type: "multi_label_classification" });
  Deno.writeTextFileSync(`${place.path}/classifier/config.json`, several);
  Deno.removeSync(`${place.path}/classifier/SHA256SUMS`); // changed on purpose
  using multi = await Classifier.open(`${place.path}/classifier`);
  assert(multi.multiLabel && !classifier.multiLabel);
  const [labels] = (await multi.classify([texts[0]])).map(({ labels }) => labels);
  const odds = labels.map(({ probability }) => probability / (1 - probability));
  const share = odds[0] / (odds[0] + odds[1]);
  assertEquals(labels.map(({ label }) => label), classified[0].labels.map(({ label }) => label));
  assertAlmostEquals(share, classified[0].labels[0].probability, 1e-5);
});

testWithCore(
  "models refuse what the command line refuses, by name and number, and work while they are open",
  async () => {
    using place = await trainedPlace();
    const path = `${place.path}/model`;
    const refuse = (open: () => Promise<unknown>, message: string) => assertRejects(open, ClozeError, message);
    // deno-lint-ignore no-explicit-any
    const wrong = (value: unknown) => value as any; // as a program in JavaScript passes it
    for (const open of [FillMask.open, Scorer.open]) {
      for (const threads of [0, -1, 1.5, 1025, 2 ** 31, NaN, "2"]) {
        await refuse(() => open(path, wrong({ threads })), "threads is");
      }
      await refuse(() => open(path, wrong({ device: "tpu" })), 'device is "tpu"');
      await refuse(() => open(path, wrong({ dtype: "f16" })), 'dtype is "f16"');
      await refuse(() => open(path, wrong({ engine: null })), "engine is null");
      for (const model of ["", null, 3, undefined]) await refuse(() => open(wrong(model)), "path of a folder");
    }
    for (const topK of [0, 1.5, -3, NaN, "5"]) await refuse(() => FillMask.open(path, wrong({ topK })), "topK is");
    await refuse(() => FillMask.open(path, { targets: [] }), "targets is empty");
    await refuse(() => FillMask.open(path, wrong({ targets: "cat" })), "array of strings");
    await refuse(() => FillMask.open(path, wrong({ targets: ["cat", 3] })), "targets[1] is 3");
    await refuse(() => FillMask.open(path, { targets: ["cat", ""] }), "cannot be an answer");

    const blanks = await FillMask.open(path);
    const scorer = await Scorer.open(path);
    await refuse(() => blanks.fill(["The ____ sees.", "The cat sees."]), "lines[1]: there is no blank");
    await refuse(() => blanks.fill(wrong("The ____ sees.")), "array of strings");
    await refuse(() => blanks.fill(wrong(["The ____ sees.", undefined])), "lines[1] is missing");
    await refuse(() => blanks.fill(wrong(new Array(1))), "lines[0] is missing");
    await refuse(() => scorer.score(["The cat.", " "]), "sentences[1]: there is no token");

    // Calls at the same time take turns.
    const lines = ["The ____ sees.", "Every ____ hears the ____.", "A ____ at night."];
    const alone = [];
    for (const line of lines) alone.push(await blanks.fill([line]));
    assertEquals(await Promise.all(lines.map((line) => blanks.fill([line]))), alone);
    const running = blanks.fill([lines[0]]);
    blanks[Symbol.dispose]();
    blanks[Symbol.dispose]();
    scorer[Symbol.dispose]();
    await running.then(() => {}, (error) => assert(error instanceof ClozeError && /closed/.test(error.message)));
    for (const use of [() => blanks.fill([]), () => blanks.fill(lines), () => scorer.score(["The cat."])]) {
      await refuse(use, "disposed");
    }
  },
);
