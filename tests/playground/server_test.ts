/** The playground's server as scripts and attackers meet it. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Playground } from "../../playground/server.ts";
import type {
  AttentionAnswer,
  FillAnswer,
  ModelsAnswer,
  NeighboursAnswer,
  ScoreAnswer,
  TokenizeAnswer,
} from "../../playground/protocol.ts";
import { Scorer } from "../../inference/scorer.ts";
import { FillMask } from "../../inference/fill_mask.ts";
import { SMALL_RUN, smallPlace, testWithCore } from "../support.ts";

/** A playground over a run with three checkpoints. */
async function opened() {
  const place = smallPlace();
  const every = ["--steps", "6", "--save-every", "2", "--keep-checkpoints", "9"];
  const { code, stderr } = await place.cloze(["pretrain", ...SMALL_RUN, "--output", "model", ...every]);
  assertEquals(code, 0, stderr);
  const faults: string[] = [];
  const model = `${place.path}/model`;
  const playground = new Playground({ models: [model], port: 0, threads: 1, onFault: (fault) => faults.push(fault) });
  const base = `http://127.0.0.1:${playground.port}`;
  const [, key] = playground.header.split(": ");
  const ask = async (path: string, question?: unknown, headers: Record<string, string> = {}) => {
    const response = await fetch(base + path, {
      headers: { authorization: key, "content-type": "application/json", ...headers },
      ...(question === undefined ? {} : { method: "POST", body: JSON.stringify(question) }),
    });
    return { status: response.status, answer: await response.json() };
  };
  return { place, model, playground, base, key, ask, faults };
}

testWithCore("the playground answers what predict and evaluate answer, for a model and its checkpoints", async (t) => {
  const { place, model, playground, base, ask, faults } = await opened();
  const text = "The ____ sees the cat.";
  await t.step("models: the run and its checkpoints", async () => {
    const { models } = (await ask("/models")).answer as ModelsAnswer;
    assertEquals(models.map(({ id }) => id), ["model", "model@2", "model@4", "model@6"]);
  });
  await t.step("fill: predict's answers, ranges of the text as it was written, an entropy below ln V", async () => {
    using fill = await FillMask.open(model, { topK: 4, threads: 1 });
    const [expected] = await fill.fill([text]);
    const { blanks, filled } = (await ask("/fill", { model: "model", text, top_k: 4 })).answer as FillAnswer;
    assertEquals(filled, expected.sequence);
    assertEquals(blanks.length, 1);
    assertEquals(text.slice(blanks[0].start, blanks[0].end), "____");
    assertEquals(blanks[0].answers.map(({ id }) => id), expected.masks[0].map(({ id }) => id));
    blanks[0].answers.forEach(({ probability }, i) => {
      assert(Math.abs(probability - expected.masks[0][i].probability) < 1e-6);
    });
    assert(blanks[0].entropy > 0 && blanks[0].entropy < Math.log(1000));
  });
  await t.step("fill: another checkpoint, other answers", async () => {
    const [early, late] = await Promise.all(
      ["model@2", "model@6"].map(async (id) => (await ask("/fill", { model: id, text })).answer as FillAnswer),
    );
    assert(early.blanks[0].answers[0].probability !== late.blanks[0].answers[0].probability);
    assertEquals(late, (await ask("/fill", { model: "model", text })).answer);
  });
  await t.step("score: the Scorer's, and a blank that stays one", async () => {
    using scorer = await Scorer.open(model, { threads: 1 });
    const [expected] = await scorer.score(["The cat sees the dog."]);
    const answer = (await ask("/score", { model: "model", text: "The cat sees the dog." })).answer as ScoreAnswer;
    assert(Math.abs(answer.score - expected.score) < 1e-4);
    assertEquals(answer.tokens.map(({ token }) => token), expected.tokens.map(({ token }) => token));
    const blank = (await ask("/score", { model: "model", text })).answer as ScoreAnswer;
    const asked = blank.tokens.map(({ blank, rank }) => [blank, rank === null]);
    assert(asked.every(([blank, isNull]) => blank === isNull) && asked.some(([blank]) => blank));
  });
  await t.step("tokenize: ranges that cut the text as it was written", async () => {
    const { tokens } = (await ask("/tokenize", { model: "model", text: "a ______ 고양이 [MASK]" }))
      .answer as TokenizeAnswer;
    const blanks = tokens.filter(({ blank }) => blank).map(({ start, end }) => [start, end]);
    assertEquals(blanks, [[2, 8], [13, 19]]);
  });
  await t.step("attention: rows that sum to 1, of each head, the last layer unless told", async () => {
    const { status, answer } = await ask("/attention", { model: "model", text });
    const { layers, heads, layer, tokens, probabilities } = answer as AttentionAnswer;
    assertEquals([status, layers, heads, layer], [200, 2, 2, 1]);
    assertEquals([tokens[0].token, tokens.at(-1)!.token, tokens[2].blank], ["[CLS]", "[SEP]", true]);
    assertEquals(probabilities.map((rows) => rows.length), [tokens.length, tokens.length]);
    for (const row of probabilities.flat()) {
      assertEquals(row.length, tokens.length);
      assert(Math.abs(row.reduce((sum, p) => sum + p, 0) - 1) < 1e-3 && row.every((p) => p >= 0));
    }
    const first = (await ask("/attention", { model: "model", text, layer: 0 })).answer as AttentionAnswer;
    assert(first.probabilities[0][0][0] !== probabilities[0][0][0]);
  });
  await t.step("neighbours: other tokens, nearest first, by the embeddings", async () => {
    const { tokens, neighbours } = (await ask("/neighbours", { model: "model", text: "cat", top_k: 5 }))
      .answer as NeighboursAnswer;
    assertEquals([tokens, neighbours.length], [["cat"], 5]);
    assert(neighbours.every(({ token, similarity }) => token !== "cat" && similarity <= 1));
    const similarities = neighbours.map(({ similarity }) => similarity);
    assertEquals(similarities, similarities.toSorted((a, b) => b - a));
  });
  await t.step("refusals: a sentence and a status", async () => {
    const wrong: [string, unknown, number][] = [
      ["/fill", { model: "model", text: "no blank" }, 422],
      ["/fill", { model: "other", text }, 422],
      ["/fill", { model: "model@3", text }, 422],
      ["/fill", { model: "../model", text }, 422],
      ["/fill", { text }, 422],
      ["/fill", { model: "model" }, 422],
      ["/fill", { model: "model", text, top_k: 0 }, 422],
      ["/fill", { model: "model", text, top_k: 1e9 }, 422],
      ["/attention", { model: "model", text, layer: 2 }, 422],
      ["/attention", { model: "model", text, layer: -1 }, 422],
      ["/attention", { model: "model", text: "" }, 422],
      ["/attention", { model: "model", text: "cat ".repeat(200) }, 422],
      ["/neighbours", { model: "model", text: "" }, 422],
      ["/score", { model: "model", text: "" }, 422],
      ["/score", { model: "model", text: "cat ".repeat(100) }, 422],
      ["/fill", [], 400],
      ["/nothing", {}, 404],
      ["/models", {}, 405],
    ];
    for (const [path, question, status] of wrong) {
      const { status: found, answer } = await ask(path, question);
      assertEquals([found, typeof answer.error], [status, "string"], `${path} ${JSON.stringify(question)}`);
    }
    assertEquals((await ask("/models", undefined, { authorization: "Bearer x" })).status, 401);
    assertEquals((await ask("/models", undefined, { origin: "https://evil.example" })).status, 403);
  });
  await t.step("the page: once by its address, then by its cookie, with a policy", async () => {
    const first = await fetch(playground.address());
    const cookie = first.headers.get("set-cookie")!.split(";")[0];
    assertStringIncludes(first.headers.get("set-cookie")!, "HttpOnly; SameSite=Strict");
    assertStringIncludes(first.headers.get("content-security-policy")!, "default-src 'none'");
    assertStringIncludes(await first.text(), "<title>cloze playground</title>");
    const again = await fetch(`${base}/`, { headers: { cookie } });
    assertEquals(again.status, 200);
    await again.body?.cancel();
    for (const path of ["/", "/?ticket=", "/?ticket=x", "/models"]) {
      const response = await fetch(base + path);
      assertEquals(response.status, 401, path);
      await response.body?.cancel();
    }
  });
  await playground[Symbol.asyncDispose]();
  place[Symbol.dispose]();
  assertEquals(faults, []);
});

testWithCore("a thousand hostile requests end in refusals, and the next question is answered", async () => {
  const { place, playground, key, ask, faults } = await opened();
  let seed = 1;
  const random = (n: number) => (seed = (seed * 48271) % 2147483647) % n;
  const pick = <T>(list: readonly T[]): T => list[random(list.length)];
  const authorized = `Authorization: ${key}`;
  const bodies = [
    "{}",
    "[",
    '{"model":"model","text":"____"}',
    '{"model":{"a":1},"text":[]}',
    "\xff\xfe",
    "[".repeat(5000),
  ]
    .concat(['{"__proto__":{"model":"model"}}', `{"model":"model","text":"${"____ ".repeat(300)}"}`])
    .concat(['{"model":"model","text":"\\ud800 ____"}', `{"model":"model","text":"${"가".repeat(3000)} ____"}`]);
  const attempt = async (i: number): Promise<void> => {
    const body = new TextEncoder().encode(pick(bodies));
    const lines = [
      `${pick(["GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "X"])} ${
        pick(["/", "/fill", "/score", "/tokenize", "/models", "/../../etc/passwd", "/%2e%2e/", "/page/main.js", "//"])
      } HTTP/1.1`,
      `Host: ${pick([`127.0.0.1:${playground.port}`, "evil.example", "", `127.0.0.1:${playground.port}`])}`,
      pick([authorized, authorized, "Authorization: Bearer x", "Cookie: cloze-1=2; ;;=", "X: y"]),
      `Content-Type: ${pick(["application/json", "text/plain", "application/json;x"])}`,
      `Content-Length: ${pick([body.length, body.length, body.length, 0, body.length + 10])}`,
      pick(["Origin: null", "Sec-Fetch-Site: cross-site", "Connection: close", "X-A: b", "Accept: */*"]),
      "Connection: close",
    ];
    using connection = await Deno.connect({ hostname: "127.0.0.1", port: playground.port });
    await connection.write(new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`));
    await connection.write(body).catch(() => {});
    if (i % 7 === 0) return; // hangs up
    await connection.closeWrite().catch(() => {});
    await connection.read(new Uint8Array(1 << 10)).catch(() => {});
  };
  for (let i = 0; i < 1000; i += 20) {
    await Promise.all(Array.from({ length: 20 }, (_, k) => attempt(i + k).catch(() => {})));
  }
  const { status, answer } = await ask("/fill", { model: "model", text: "The ____ sees." });
  assertEquals([status, answer.blanks.length], [200, 1]);
  await playground[Symbol.asyncDispose]();
  place[Symbol.dispose]();
  assertEquals(faults, []);
});
