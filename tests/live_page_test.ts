/** The page that follows a run, in a real Chromium, through its DOM. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { checkedLine } from "../config/checked_lines.ts";
import { fileHash } from "../config/sha256.ts";
import { exampleMetrics } from "../report/example_run.ts";
import { LiveServer } from "../report/live/live_server.ts";
import { openRun } from "../run/run_folder.ts";
import { Page, testInChromium } from "./browser.ts";
import { type Place, SMALL_RUN, smallPlace, testWithCore, until } from "./support.ts";

/** The last update that the chart of the loss shows. */
const LAST_UPDATE = `(() => {
  const row = [...document.querySelectorAll("details table tbody tr th")].at(-1);
  return row === undefined ? "" : row.textContent;
})()`;

testInChromium(
  "LiveServer's page grows with its run, in place, and says how it ends or that it was lost",
  async (t) => {
    using place = smallPlace();
    const output = `${place.path}/run`, file = `${output}/metrics.jsonl`;
    const lines = exampleMetrics({ answer: "Sonne" }).map(checkedLine);
    const end = lines.pop()!;
    let lock: Disposable | undefined = await openRun(output, "run.json", false);
    const append = (from: number, to: number) =>
      Deno.writeTextFile(file, lines.slice(from, to).join(""), { append: true });
    await append(0, 13); // all up to the first evaluation
    const faults: string[] = [];
    await using server = new LiveServer(output, (fault) => faults.push(fault));
    await using page = await Page.open(server.address());
    const said = (text: string) =>
      page.until(`document.getElementById("live").textContent.includes(${JSON.stringify(text)})`);
    await t.step("it shows what is there", async () => {
      await said("Live: update 100");
      await page.until(`document.querySelectorAll("figure canvas").length === 5`);
      assertEquals(await page.value(LAST_UPDATE), "100");
    });
    await t.step("more figures come without a reload; what is folded out stays so", async () => {
      await page.value(`globalThis.isSame = true; document.querySelector("details").open = true; 1`);
      await append(13, lines.length);
      await said("Live: update 1,000");
      await page.until(`${LAST_UPDATE} === "1,000"`);
      assertEquals(await page.value(`[globalThis.isSame, document.querySelector("details").open]`), [true, true]);
      // The curve itself has grown: the crosshair at its end stands at the last update, in every chart.
      await page.value(`document.querySelector(".u-over").focus()`);
      await page.key("End");
      await page.until(`[...document.querySelectorAll(".u-legend tr:first-child .u-value")]
      .every(({ textContent }) => textContent === "1,000")`);
    });
    await t.step("a run that nobody works on is told from one that goes on", async () => {
      lock?.[Symbol.dispose]();
      lock = undefined;
      await said("was killed");
    });
    await t.step("its end is said, and stays when the server is gone", async () => {
      await Deno.writeTextFile(file, end, { append: true });
      await said("The run has ended, after update 1,000");
      await server[Symbol.asyncDispose]();
      await new Promise((done) => setTimeout(done, 5000));
      await said("The run has ended");
    });
    lock?.[Symbol.dispose]();
    assertEquals(faults, []);
    assertEquals(page.complaints.filter((text) => !text.includes("ERR_CONNECTION_REFUSED")), []);
  },
);

/** A folder with an `xdg-open` that notes what it is to open. */
function withOpener(place: Place, exit = 0): { PATH: string } {
  Deno.mkdirSync(`${place.path}/bin`);
  place.file(
    "bin/xdg-open",
    `#!/bin/sh\necho "$1" > ${place.path}/opened.tmp\nmv ${place.path}/opened.tmp ${place.path}/opened\nexit ${exit}\n`,
  );
  Deno.chmodSync(`${place.path}/bin/xdg-open`, 0o755);
  return { PATH: `${place.path}/bin:/usr/bin:/bin` };
}

testInChromium("pretrain --open follows the run to its end, and makes the same weights", async () => {
  using place = smallPlace();
  const env = withOpener(place), steps = ["--steps", "900", "--evaluate-every", "100"];
  const run = place.start(["pretrain", ...SMALL_RUN, ...steps, "--output", "watched", "--open"], env);
  await run.stdin.close();
  const output = run.output();
  await until(() => Deno.stat(`${place.path}/opened`).then(() => true, () => false));
  const page = await Page.open((await Deno.readTextFile(`${place.path}/opened`)).trim());
  await page.until(`document.getElementById("live").textContent.startsWith("Live: update")`);
  await page.until(`document.getElementById("live").textContent.includes("The run has ended, after update 900")`);
  await page[Symbol.asyncDispose]();
  const { code, stderr } = await output;
  const text = new TextDecoder().decode(stderr);
  assertEquals(code, 0, text);
  assertStringIncludes(text, "opened in the browser");
  const alone = await place.cloze(["pretrain", ...SMALL_RUN, ...steps, "--output", "alone"]);
  assertEquals(alone.code, 0, alone.stderr);
  const [a, b] = await Promise.all(
    ["watched", "alone"].map((name) => fileHash(`${place.path}/${name}/model.safetensors`)),
  );
  assertEquals(a, b);
});

testWithCore("pretrain --open tells the address where no browser opens, and trains on", async () => {
  using place = smallPlace();
  const { code, stderr } = await place.cloze(["pretrain", ...SMALL_RUN, "--output", "out", "--steps", "2", "--open"], {
    env: withOpener(place, 3),
  });
  assertEquals(code, 0, stderr);
  assert(/page {5}http:\/\/127\.0\.0\.1:\d+\/\?ticket=\w+/.test(stderr), stderr);
});

testWithCore("report --live follows one run until it is stopped, and refuses what it cannot follow", async () => {
  using place = smallPlace();
  const refused: [string[], string][] = [
    [["nothing"], "is not the folder of a run"],
    [["a", "b"], "--live follows one run, and 2 were given"],
    [["a", "--text"], "--live writes no file"],
  ];
  for (const [args, said] of refused) {
    const { code, stderr } = await place.cloze(["report", "--live", ...args]);
    assert(code !== 0 && stderr.includes(said), stderr);
  }
  await Deno.mkdir(`${place.path}/run`);
  place.file("run/metrics.jsonl", exampleMetrics().map(checkedLine).join(""));
  const child = place.start(["report", "--live", "run"]);
  const reader = child.stdout.getReader();
  const address = new TextDecoder().decode((await reader.read()).value).trim();
  const response = await fetch(address);
  assertStringIncludes(response.headers.get("content-security-policy")!, "connect-src 'self'");
  assertStringIncludes(await response.text(), "The run has ended, after update 1,000");
  const cookie = response.headers.get("set-cookie")!.split(";")[0];
  const figures = (headers: Record<string, string>) => fetch(`${new URL(address).origin}/figures`, { headers });
  const answered = await figures({ cookie });
  assertEquals([answered.status, (await answered.json()).state], [200, "ended"]);
  for (const headers of [{}, { cookie, origin: "https://evil.example" }, { cookie: "cloze-1=2" }]) {
    const { status, body } = await figures(headers);
    await body?.cancel();
    assert(status === 401 || status === 403);
  }
  child.kill("SIGINT");
  assertEquals((await child.status).code, 0);
  await Promise.all([reader.cancel(), child.stderr.cancel(), child.stdin.close()]);
});
