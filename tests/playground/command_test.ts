/** The playground command: what it prints, and what it refuses. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { FillAnswer } from "../../playground/protocol.ts";
import { type Place, testWithCore, trainedPlace } from "../support.ts";

/** Starts it, and takes the address and the key that it prints. */
async function start(place: Place, args: string[]) {
  const child = place.start(["playground", "--threads", "1", ...args]);
  const out = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const errors = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
  const { value: address = "" } = await out.read();
  let said = "";
  while (!said.includes("Ctrl-C")) {
    const { value, done } = await errors.read();
    if (done) break;
    said += value;
  }
  const end = async () => {
    child.kill("SIGTERM");
    const rest = (async () => {
      for (let read; !(read = await errors.read()).done;) said += read.value;
    })();
    await child.stdin.close();
    await Promise.all([rest, out.cancel()]);
    return { code: (await child.status).code, said };
  };
  return { address: address.trim(), authorization: /Bearer \S+/.exec(said)?.[0] ?? "", end };
}

async function fill(base: string, authorization: string): Promise<Response> {
  return await fetch(new URL("/fill", base), {
    method: "POST",
    headers: { authorization, "content-type": "application/json" },
    body: JSON.stringify({ model: "model", text: "The ____ sees the dog." }),
  });
}

testWithCore("playground prints an address that answers at once, and ends when it is told to", async () => {
  using place = await trainedPlace();
  const { address, authorization, end } = await start(place, ["--model", "model"]);
  assertMatch(address, /^http:\/\/127\.0\.0\.1:\d+\/\?ticket=\w+$/);
  const response = await fill(address, authorization); // no wait for the model, which is opened meanwhile
  assertEquals(response.status, 200);
  assertEquals((await response.json() as FillAnswer).blanks.length, 1);
  assertEquals((await end()).code, 0);
});

testWithCore("playground --as takes a model whose class is not known, and refuses it without", async () => {
  using place = await trainedPlace();
  const config = JSON.parse(await Deno.readTextFile(`${place.path}/model/config.json`));
  await Deno.remove(`${place.path}/model/SHA256SUMS`);
  const other = { ...config, model_type: "mybert", architectures: ["MyBertForMaskedLM"] };
  await Deno.writeTextFile(`${place.path}/model/config.json`, JSON.stringify(other));
  const refused = await place.cloze(["playground", "--model", "model"]);
  assertEquals([refused.code, refused.stdout], [1, ""], refused.stderr);
  assertStringIncludes(refused.stderr, 'model_type is "mybert"');
  assertStringIncludes(refused.stderr, "--as");
  const wrong = await place.cloze(["playground", "--model", "model", "--as", "BertModel"]);
  assertEquals([wrong.code, wrong.stdout], [1, ""], wrong.stderr);
  assertStringIncludes(wrong.stderr, "fills no blanks");
  const { address, authorization, end } = await start(place, ["--model", "model", "--as", "bert"]);
  const response = await fill(address, authorization);
  assertEquals(response.status, 200, await response.text());
  assertEquals((await end()).code, 0);
});

testWithCore("playground ends with what is wrong with a model that it opens behind the page", async () => {
  using place = await trainedPlace();
  const weights = `${place.path}/model/model.safetensors`;
  const bytes = await Deno.readFile(weights);
  bytes[bytes.length - 1] ^= 1;
  await Deno.writeFile(weights, bytes);
  const first = await place.cloze(["playground", "--model", "model"]);
  assertEquals(first.code, 1);
  assertStringIncludes(first.stderr, "error: ");
  assertStringIncludes(first.stderr, "is damaged or was changed");
  await Deno.rename(`${place.path}/model`, `${place.path}/damaged`);
  using sound = await trainedPlace();
  const second = await place.cloze(["playground", "--model", `${sound.path}/model`, "--model", "damaged"]);
  assertEquals(second.code, 1);
  assert(/damaged\/model\.safetensors is damaged/.test(second.stderr), second.stderr);
});
