/** `cloze predict` as people run it: lines in, answers out. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { buildCandle, testWithCore, trainedPlace } from "../support.ts";

testWithCore("predict fills blanks", async (t) => {
  using place = await trainedPlace(60);

  await t.step("in a form for reading, best answer in the sentence", async () => {
    const { code, stdout } = await place.cloze(["predict", "--model", "model", "--top-k", "2"], {
      input: "The [MASK] sees the dog.\n",
    });
    assertEquals(code, 0);
    const [sentence, answers] = stdout.split("\n");
    const best = answers.trim().split(" ")[0];
    assertEquals(sentence, `The ${best} sees the dog.`.replace(" ##", ""));
    assertEquals(answers.match(/%/g)!.length, 2);
  });

  await t.step("as JSON, several in a line, with ____ as a blank", async () => {
    const input = "The ____ sees the [MASK].\nEvery ___ likes a cat.\n";
    const { code, stdout } = await place.cloze(["predict", "--model", "model", "--json", "--top-k", "3"], { input });
    assertEquals(code, 0);
    const lines = stdout.trim().split("\n").map((line) => JSON.parse(line));
    assertEquals(lines.map((line) => line.masks.length), [2, 1]);
    assertEquals(lines[0].input, "The ____ sees the [MASK].");
    for (const answers of lines.flatMap((line) => line.masks)) {
      assertEquals(answers.length, 3);
      assert(answers[0].probability >= answers[1].probability && answers[1].probability >= answers[2].probability);
      assertEquals(Object.keys(answers[0]).sort(), ["id", "probability", "token"]);
    }
    assert(!lines[0].sequence.includes("[MASK]") && !lines[0].sequence.includes("___"));
  });

  await t.step("from the surroundings of the blank where a line is too long, and says so", async () => {
    const input = `${"The cat sees the dog. ".repeat(200)}The ____ sees.\n`;
    const { code, stdout } = await place.cloze(["predict", "--model", "model"], { input });
    assertEquals(code, 0);
    assertStringIncludes(stdout, "longer than the model takes");
  });

  await t.step("from given targets only", async () => {
    const args = ["predict", "--model", "model", "--targets", "dog, cat"];
    const { code, stdout } = await place.cloze(args, { input: "The [MASK] sees.\n" });
    assertEquals(code, 0);
    assertEquals(stdout.match(/(dog|cat) \d/g)!.length, 2);
    const { code: refused, stderr } = await place.cloze([...args, "--top-k", "3"], { input: "" });
    assertEquals(refused, 2);
    assertStringIncludes(stderr, "either --top-k or --targets");
  });

  await t.step("the same alone as among other lines", async () => {
    const one = "The [MASK] sees the dog.";
    const many = [
      one,
      ...Array.from({ length: 40 }, (_, i) => `Every [MASK] likes a cat ${"at night ".repeat(i % 7)}.`),
    ];
    const run = async (lines: string[]) => {
      const { stdout } = await place.cloze(["predict", "--model", "model", "--json"], { input: lines.join("\n") });
      return stdout.trim().split("\n").map((line) => JSON.parse(line));
    };
    const [alone] = await run([one]);
    const together = await run(many);
    assertEquals(together.length, many.length);
    alone.masks[0].forEach((answer: { id: number; probability: number }, i: number) => {
      assertEquals(together[0].masks[0][i].id, answer.id);
      assert(Math.abs(together[0].masks[0][i].probability - answer.probability) < 1e-5);
    });
  });

  await t.step("with the same answers from the candle engine", async () => {
    await buildCandle();
    const run = async (engine: string) => {
      const args = ["predict", "--model", "model", "--json", "--engine", engine];
      const { stdout } = await place.cloze(args, { input: "The [MASK] sees the dog.\n" });
      return JSON.parse(stdout).masks[0] as { id: number; probability: number }[];
    };
    const [fused, candle] = [await run("fused"), await run("candle")];
    assertEquals(fused.map((a) => a.id), candle.map((a) => a.id));
    fused.forEach((answer, i) => assert(Math.abs(answer.probability - candle[i].probability) < 1e-4));
  });

  await t.step("each line as it comes", async () => {
    const child = place.start(["predict", "--model", "model"]);
    const writer = child.stdin.getWriter();
    const reader = child.stdout.getReader();
    for (let i = 0; i < 3; i++) {
      await writer.write(new TextEncoder().encode("The [MASK] sees the dog.\n"));
      const { value } = await reader.read(); // would never come if the answer waited for more input
      assertStringIncludes(new TextDecoder().decode(value), "sees the dog");
    }
    await writer.close();
    while (!(await reader.read()).done);
    await child.stderr.cancel();
    assertEquals((await child.status).code, 0);
  });

  await t.step("from files, and from the newest run when no model is given", async () => {
    place.file("lines.txt", "\uFEFFThe [MASK] sees the dog.\r\n\r\nEvery [MASK] likes a cat.");
    await Deno.mkdir(`${place.path}/runs`);
    await Deno.rename(`${place.path}/model`, `${place.path}/runs/first`);
    const { code, stdout, stderr } = await place.cloze(["predict", "lines.txt", "--json"]);
    await Deno.rename(`${place.path}/runs/first`, `${place.path}/model`);
    assertEquals(code, 0, stderr);
    assertStringIncludes(stderr, "runs/first");
    assertEquals(stdout.trim().split("\n").map((line) => JSON.parse(line).input), [
      "The [MASK] sees the dog.",
      "Every [MASK] likes a cat.",
    ]);
  });

  await t.step("goes on after bad lines, names them, and exits 1", async () => {
    const input = new Uint8Array([
      ...new TextEncoder().encode("no blank here\nThe [MASK] sees the dog.\n"),
      ...[0xff, 0xfe, 0x5b, 10],
      ...new TextEncoder().encode(`[MASK] ${"cat ".repeat(600)}[MASK]\nEvery [MASK] likes a cat.\n`),
    ]);
    const { code, stdout, stderr } = await place.cloze(["predict", "--model", "model", "--json"], { input });
    assertEquals(code, 1);
    assertEquals(stdout.trim().split("\n").length, 2);
    for (
      const part of ["line 1: there is no blank", "line 3: it is not UTF-8", "line 4: its blanks are 602 tokens apart"]
    ) {
      assertStringIncludes(stderr, part);
    }
  });

  await t.step("with several models side by side, for reading and as JSON", async () => {
    await Deno.mkdir(`${place.path}/other`);
    for (const { name, isFile } of Deno.readDirSync(`${place.path}/model`)) {
      if (isFile) await Deno.copyFile(`${place.path}/model/${name}`, `${place.path}/other/${name}`);
    }
    const input = "The [MASK] sees the dog.\nno blank\nEvery [MASK] likes a cat.\n";
    const args = ["predict", "--model", "model", "--model", "other", "--top-k", "1"];
    const { code, stdout, stderr } = await place.cloze(args, { input });
    assertEquals(code, 1);
    assertStringIncludes(stderr, "line 2: there is no blank");
    assertMatch(stdout, /^model {2}The .*\n {9}\S+ [\d.]+%\nother {2}The .*\n {9}\S+ [\d.]+%\n\nmodel {2}Every /);
    const json = await place.cloze([...args, "--json"], { input });
    const lines = json.stdout.trim().split("\n").map((line) => JSON.parse(line));
    assertEquals(lines.map(({ model }) => model), ["model", "other", "model", "other"]);
    assertEquals({ ...lines[1], model: "model" }, lines[0], "the same weights answer the same");
  });

  await t.step("two blanks side by side with two words, and never with a special token", async () => {
    const input = "The [MASK][MASK] the dog.\n";
    const args = ["predict", "--model", "model", "--json", "--top-k", "1000"];
    const { stdout } = await place.cloze(args, { input });
    const { masks, sequence } = JSON.parse(stdout);
    const { model, added_tokens } = JSON.parse(Deno.readTextFileSync(`${place.path}/model/tokenizer.json`));
    assertEquals(masks[0].length, Object.keys(model.vocab).length - added_tokens.length, "every other token, once");
    for (const { token } of masks.flat()) assert(!/^\[(PAD|UNK|CLS|SEP|MASK)\]$/.test(token), token);
    assertMatch(sequence, /^The \S+ \S+ the dog\.$/);
    const asked = await place.cloze(["predict", "--model", "model", "--targets", "[SEP],cat"], { input });
    assertStringIncludes(asked.stdout, "[SEP]");
  });

  await t.step("ends quietly when nobody reads any more", async () => {
    const lines = "The [MASK] sees the dog.\n".repeat(20_000);
    place.file("many.txt", lines);
    const command = `"${Deno.execPath()}" run -q -A "${new URL("../../cli/main.ts", import.meta.url).pathname}" ` +
      `predict --model model many.txt | head -n 1; echo "\${PIPESTATUS[0]}"`;
    const { stdout, stderr } = await new Deno.Command("bash", {
      args: ["-c", command],
      cwd: place.path,
      env: place.env,
    }).output();
    assertEquals(new TextDecoder().decode(stderr), "");
    assertEquals(new TextDecoder().decode(stdout).trim().split("\n")[1], "0");
  });

  await t.step("loads legacy names and a folder without tokenizer.json", async () => {
    await Deno.mkdir(`${place.path}/legacy`);
    for (const name of ["config.json", "vocab.txt", "tokenizer_config.json"]) {
      await Deno.copyFile(`${place.path}/model/${name}`, `${place.path}/legacy/${name}`);
    }
    const bytes = await Deno.readFile(`${place.path}/model/model.safetensors`);
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
    const renamed = Object.fromEntries(
      Object.entries(header).map(([name, value]) => [
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"),
        value,
      ]),
    );
    const text = new TextEncoder().encode(JSON.stringify(renamed));
    const out = new Uint8Array(8 + text.length + bytes.length - 8 - length);
    new DataView(out.buffer).setBigUint64(0, BigInt(text.length), true);
    out.set(text, 8);
    out.set(bytes.subarray(8 + length), 8 + text.length);
    await Deno.writeFile(`${place.path}/legacy/model.safetensors`, out);
    const answer = async (model: string) =>
      (await place.cloze(["predict", "--model", model, "--json"], { input: "The [MASK] sees the dog.\n" })).stdout;
    const expected = await answer("model");
    assert(expected.length > 10);
    assertEquals(await answer("legacy"), expected);
  });
});
