/** `cloze pretrain --recipe`: what a run is by default, as published, and when a flag says something else. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Place, SMALL_RUN, smallPlace, testWithCore } from "../support.ts";

const json = (place: Place, path: string) => JSON.parse(Deno.readTextFileSync(`${place.path}/${path}`));
const weights = (place: Place, run: string) => Deno.readFileSync(`${place.path}/${run}/model.safetensors`);

/** By preset, so that the recipe says rate and dropout; of sequences that are longer than those it begins with. */
const OTHERWISE = ["--config", "config.json", "--learning-rate", "3e-3"];
const RUN = ["pretrain", ...SMALL_RUN.filter((word) => !OTHERWISE.includes(word))]
  .map((word) => word === "32" ? "64" : word);
/** What is said of every new model. */
const BEGINS =
  "recipe   fast: begins with the frequencies of tokens; deviation 0.0884 inside layers; heads that look at neighbours; sequences of 32 in the first 30%; ";

/** Standard deviations of a model's matrices: of those that branches of a layer begin with, and of others. */
function deviations(place: Place, run: string) {
  const file = weights(place, run), length = Number(new DataView(file.buffer).getBigUint64(0, true));
  const tensors = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)));
  const of = (name: string) => {
    const [start, end] = tensors[name].data_offsets.map((at: number) => 8 + length + at);
    const values = new Float32Array(file.slice(start, end).buffer);
    return Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length);
  };
  const layer = (name: string) => of(`bert.encoder.layer.1.${name}.weight`);
  return {
    neighbours: ["attention.self.query", "attention.self.key"].map(layer),
    inner: ["attention.self.value", "intermediate.dense"].map(layer),
    others: [of("bert.embeddings.word_embeddings.weight"), layer("attention.output.dense"), layer("output.dense")],
  };
}

/** Runs a command that has to succeed. */
async function good(place: Place, args: string[]): Promise<string> {
  const { code, stderr } = await place.cloze(args);
  assertEquals(code, 0, stderr);
  return stderr;
}

/** The first line of a run's metrics of a kind. */
function first(place: Place, run: string, kind: string) {
  const lines = Deno.readTextFileSync(`${place.path}/${run}/metrics.jsonl`).trim().split("\n");
  return lines.map((line) => JSON.parse(line)).find((line) => line.kind === kind);
}

testWithCore(
  "--recipe decides masks and dropout; the run says why, and is measured with 15% whatever it is",
  async () => {
    using place = smallPlace();
    const few = await good(place, [...RUN, "--output", "few", "--steps", "6"]);
    assertStringIncludes(
      few,
      BEGINS + "40% masked at first, 15% at the end; dropout 0, because 0.",
    );
    const { recipe, dropout, mlm_probability, final_mlm_probability } = json(place, "few/run.json").training;
    assertEquals([recipe, dropout, mlm_probability, final_mlm_probability], ["fast", 0, 0.4, 0.15]);
    assertEquals(json(place, "few/run.json").training.inner_initializer_range, 0.0884, "1 / √128");
    assertEquals(json(place, "few/run.json").training.neighbour_attention, true);
    const { neighbours, inner, others } = deviations(place, "few");
    for (const found of neighbours) assert(Math.abs(found / 0.108 - 1) < 0.1, `both heads look beside: ${neighbours}`);
    for (const found of inner) assert(Math.abs(found / 0.0884 - 1) < 0.1, `${inner}`);
    for (const found of others) assert(Math.abs(found / 0.02 - 1) < 0.1, `${others}`);
    assertEquals(json(place, "few/config.json").hidden_dropout_prob, 0.1, "fine-tuning drops what BERT drops");

    const many = await good(place, [...RUN, "--output", "many", "--epochs", "6"]);
    assertStringIncludes(many, "dropout 0.1, because 6.0 passes over the text are many");
    assertEquals("dropout" in json(place, "many/run.json").training, false);

    const bert = await good(place, [...RUN, "--output", "bert", "--steps", "6", "--recipe", "bert"]);
    assertStringIncludes(bert, "recipe   bert: 15% masked; dropout 0.1");
    const { training } = json(place, "bert/run.json");
    assertEquals([json(place, "few/run.json").training.learning_rate, training.learning_rate], [3e-3, 2e-3]);
    assertEquals(["inner_initializer_range", "neighbour_attention"].filter((name) => name in training), []);

    const own = ["--steps", "6", "--mlm-probability", "0.3", "--dropout", "0.2"];
    assertStringIncludes(
      await good(place, [...RUN, "--output", "own", ...own]),
      BEGINS + "30% masked; dropout 0.2\n",
    );
    const { masking, unigram } = first(place, "bert", "start");
    for (const run of ["few", "own"]) assertEquals(first(place, run, "start").masking, masking, `held out of ${run}`);
    const [begins, published] = ["few", "bert"].map((run) => first(place, run, "train").loss);
    assert(begins < unigram.entropy + 0.3 && published > begins + 0.3, `first losses ${begins} and ${published}`);
  },
);

testWithCore("--recipe with --budget times steps to tell how many passes fit", async () => {
  using place = smallPlace();
  const stderr = await good(place, [...RUN, "--output", "out", "--budget", "2s"]);
  assertStringIncludes(stderr, "passes over the text are");
});

testWithCore(
  "a run by --recipe fast that is resumed in mid-schedule is the run that was not, for any threads",
  async () => {
    using place = smallPlace();
    const run = [...RUN, "--steps", "30", "--save-every", "7", "--keep-checkpoints", "5"];
    await good(place, [...run, "--output", "whole", "--threads", "1"]);
    const copy = new Deno.Command("cp", { args: ["-r", "whole", "part"], cwd: place.path });
    assertEquals((await copy.output()).code, 0);
    for (
      const name of [
        "checkpoints/step-14",
        "checkpoints/step-21",
        "checkpoints/step-28",
        "checkpoints/step-30",
        "model.safetensors",
      ]
    ) {
      await Deno.remove(`${place.path}/part/${name}`, { recursive: true });
    }
    const stderr = await good(place, ["pretrain", "--resume", "part", "--threads", "2"]);
    assertStringIncludes(stderr, "after step 7");
    assertStringIncludes(
      stderr,
      BEGINS + "40% masked at first, 15% at the end; dropout 0\n",
    );
    assertEquals(weights(place, "part"), weights(place, "whole"));
  },
);

testWithCore("a run of version 0.1.0, which has no recipe, goes on as it began", async () => {
  using place = smallPlace();
  const flags = ["--recipe", "bert", "--mlm-probability", "0.3", "--steps", "4"];
  for (const run of ["new", "old"]) await good(place, [...RUN, "--output", run, ...flags]);
  const { checksum: _, ...record } = json(place, "old/run.json");
  delete record.training.recipe;
  place.file("old/run.json", JSON.stringify(record));
  for (const run of ["new", "old"]) await good(place, ["pretrain", "--resume", run, "--steps", "9"]);
  assertEquals(weights(place, "old"), weights(place, "new"));
  const again = await good(place, [...RUN, "--output", "old", ...flags]);
  assertStringIncludes(again, "is finished");
});
