/** Models with next-sentence prediction: pairs of texts are answered as transformers answers them, and blanks as before. */

import { assert, assertAlmostEquals, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { ClozeError } from "../../config/cloze_error.ts";
import { Classifier } from "../../mod.ts";
import { Place, testWithCore } from "../support.ts";

const folder = new URL("../golden/", import.meta.url);
/** Made by generate_next_sentence.py. */
const golden: {
  vocabulary: string[];
  pairs: [string, string][];
  families: Record<string, { config: object; probabilities: Record<string, [number, number][]> }>;
} = JSON.parse(Deno.readTextFileSync(new URL("next_sentence.json", folder)));

/** Writes the golden weights of a family as a model's, without a decoder of its own and the classifier of other classes. */
function weights(family: string, path: string): void {
  const bytes = Deno.readFileSync(new URL(`${family}.safetensors`, folder));
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const kept: Record<string, { data_offsets: [number, number] }> = {}, parts: Uint8Array[] = [];
  let at = 0;
  for (const [name, tensor] of Object.entries<{ data_offsets: [number, number] }>(header)) {
    if (!name.startsWith("weight.") || /decoder|classifier/.test(name)) continue;
    const [from, to] = tensor.data_offsets;
    parts.push(bytes.subarray(8 + length + from, 8 + length + to));
    kept[name.replace("weight.", "")] = { ...tensor, data_offsets: [at, at += to - from] };
  }
  const text = new TextEncoder().encode(JSON.stringify(kept).padEnd(8 * Math.ceil(JSON.stringify(kept).length / 8)));
  const file = new Uint8Array(8 + text.length + at);
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
  file.set(text, 8);
  let to = 8 + text.length;
  for (const part of parts) {
    file.set(part, to);
    to += part.length;
  }
  Deno.writeFileSync(path, file);
}

function model(place: Place, name: string, family: string, architecture: string): string {
  Deno.mkdirSync(`${place.path}/${name}`);
  const { config } = golden.families[family];
  place.file(`${name}/config.json`, JSON.stringify({ ...config, architectures: [architecture] }));
  place.file(`${name}/vocab.txt`, golden.vocabulary.join("\n") + "\n");
  weights(family, `${place.path}/${name}/model.safetensors`);
  return `${place.path}/${name}`;
}

const lines = golden.pairs.map((pair) => pair.join("\t") + "\n").join("");

for (const [family, { probabilities }] of Object.entries(golden.families)) {
  for (const [architecture, expected] of Object.entries(probabilities)) {
    testWithCore(`${architecture} tells whether a text follows another as transformers does`, async () => {
      using place = new Place();
      const path = model(place, "model", family, architecture);
      const flags = architecture.endsWith("PreTraining") ? ["--pairs"] : [];
      const json = await place.cloze(["predict", "--model", "model", "--json", ...flags], { input: lines });
      assertEquals(json.code, 0, json.stderr);
      assert(!json.stderr.includes("tensors"), json.stderr);
      using classifier = await Classifier.open(path, { threads: 1 });
      const told = await classifier.classify(golden.pairs);
      for (const [i, line] of json.stdout.trim().split("\n").entries()) {
        const { input, pair, labels, truncated } = JSON.parse(line);
        assertEquals([input, pair], golden.pairs[i]);
        assertEquals(truncated, i === 4);
        assertEquals(labels, told[i].labels);
        const found = new Map(
          labels.map(({ label, probability }: { label: string; probability: number }) => [label, probability]),
        );
        assertEquals([...found.keys()].toSorted(), ["is next", "not next"]);
        assertAlmostEquals(found.get("is next") as number, expected[i][0], 1e-5);
        assertAlmostEquals(found.get("not next") as number, expected[i][1], 1e-5);
      }
      const plain = await place.cloze(["predict", "--model", "model", ...flags], { input: lines });
      const percent = (100 * expected[0][0]).toFixed(1);
      assertEquals(plain.stdout.split("\n")[0], `is next ${percent}%\t${golden.pairs[0].join("\t")}`);
      const both = await place.cloze(["predict", "--model", "model", "--top-k", "2", ...flags], { input: lines });
      assertStringIncludes(both.stdout, "%  not next ");
      await assertRejects(() => classifier.classify(["word7"]), ClozeError, "has to be a pair of strings");
    });
  }
}

testWithCore("a model with both heads fills blanks as one that only fills them, and pairs are asked for", async (t) => {
  using place = new Place();
  model(place, "both", "bert", "BertForPreTraining");
  model(place, "fills", "bert", "BertForMaskedLM");
  const path = model(place, "pairs", "bert", "BertForNextSentencePrediction");
  const predict = async (args: string[], input: string) => await place.cloze(["predict", ...args], { input });
  const blank = "word7 [MASK] word9\nword8\t____\n";

  await t.step("blanks, whatever stands beside them", async () => {
    const [both, fills] = [
      await predict(["--model", "both", "--json"], blank),
      await predict(["--model", "fills", "--json"], blank),
    ];
    assertEquals([both.code, both.stdout], [0, fills.stdout], both.stderr);
    const tab = await predict(["--model", "both"], "word7\tword8\n");
    assertEquals(tab.code, 1);
    assertStringIncludes(tab.stderr, "there is no blank in it");
    assertStringIncludes(tab.stderr, "--pairs asks whether");
  });

  await t.step("records with two columns", async () => {
    const rows = golden.pairs.map(([a, b]) => `${a},${b}\n`).join("");
    place.file("pairs.csv", "before,after\n" + rows);
    const told = await predict(["--model", "both", "--json", "--pairs"], lines);
    const columns = ["pairs.csv", "--text-column", "before", "--pair-column", "after"];
    const found = await predict(["--model", "both", "--json", ...columns], "");
    assertEquals([found.code, found.stdout], [0, told.stdout], found.stderr);
  });

  await t.step("what is no pair, and flags that mean blanks", async () => {
    const single = await predict(["--model", "pairs"], "word7 word8\n");
    assertEquals(single.code, 1);
    assertStringIncludes(single.stderr, "line 1: a pair is two texts with a tab between them, and there is none");
    const targets = await predict(["--model", "both", "--pairs", "--targets", "word7"], lines);
    assertEquals(targets.code, 2);
    assertStringIncludes(targets.stderr, "both is asked whether a text follows another");
    const none = await predict(["--model", "fills", "--pairs"], lines);
    assertEquals(none.code, 2);
    assertStringIncludes(none.stderr, "or have next-sentence prediction, and");
  });

  await t.step("what the class for pairs alone is good for besides", async () => {
    const good = async (...args: string[]) => {
      const { code, stderr, stdout } = await place.cloze(args, { input: "word7 word8\n" });
      assertEquals(code, 0, stderr);
      return stdout + stderr;
    };
    await good("embed", "--model", "pairs");
    place.file("text.txt", "word7 word8 word9.\nword10 word11.\n\n".repeat(20));
    place.file("labels.tsv", "text\tlabel\n" + "word7 word8\ta\nword9\tb\n".repeat(10));
    const files = ["--train", "labels.tsv", "--valid", "labels.tsv", "--epochs", "1", "--max-sequence-length", "16"];
    await good("finetune", "--model", "pairs", ...files, "--output", "tuned");
    const more = ["--data", "text.txt", "--steps", "1", "--max-sequence-length", "16", "--allow-unknown"];
    await good("pretrain", "--from", "pairs", ...more, "--objective", "mlm+nsp", "--output", "next");
    const measured = await place.cloze(["evaluate", "--model", "pairs", "--data", "text.txt"]);
    assertEquals(measured.code, 1);
    assertStringIncludes(measured.stderr, `${path} predicts no tokens: it only tells whether a text follows another`);
  });
});
