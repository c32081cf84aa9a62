/** The models as programs use them. */

import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { ClozeError } from "../config/cloze_error.ts";
import { testWithCore, trainedPlace } from "../tests/support.ts";
import { Classifier } from "./classifier.ts";
import { FillMask } from "./fill_mask.ts";
import { openModelFolder } from "./model_folder.ts";
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
});
