/** What a release consists of, tried where there is neither a checkout nor cargo; and mod.ts from another project. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { COMMANDS } from "../cli/commands/registry.ts";
import { CORE_PACKAGE } from "../ffi/platform.ts";
import { commandPackage, corePackage } from "../tools/release/npm.ts";
import { Place, SMALL_CONFIG, SMALL_RUN, smallText, testWithCore, trainedPlace } from "./support.ts";

const root = new URL("..", import.meta.url).pathname.replace(/\/$/, "");
const canRunNode = await new Deno.Command("node", { args: ["--version"], stdout: "null" }).output()
  .then(({ success }) => success, () => false);

const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Runs a program in a place; what it says goes to one text. */
async function run(place: Place, command: string, args: string[], env: Record<string, string> = {}) {
  // npx, which may have started the tests, says so to all that they start.
  const options = { args, cwd: place.path, env: { ...place.env, npm_command: "", ...env }, stdin: "null" as const };
  const { code, stdout, stderr } = await new Deno.Command(command, options).output();
  return { code, text: decode(stdout) + decode(stderr) };
}

/** A folder as npm makes it: the two packages, and in place of npm's Deno the one that runs this. */
function installed(): Place {
  const place = new Place();
  commandPackage(`${place.path}/node_modules/cloze`);
  corePackage(`${place.path}/node_modules/${CORE_PACKAGE}`);
  Deno.mkdirSync(`${place.path}/node_modules/deno`);
  place.file("node_modules/deno/install_api.cjs", `exports.runInstall = () => ${JSON.stringify(Deno.execPath())};`);
  return place;
}

if (canRunNode) {
  testWithCore("npm's packages train, report and predict in an empty folder without cargo", async () => {
    using place = installed();
    place.file("text.txt", smallText());
    place.file("config.json", SMALL_CONFIG);
    Deno.copyFileSync(`${root}/tests/golden/text-zstd.parquet`, `${place.path}/more.parquet`);
    const bin = `${place.path}/bin`;
    Deno.mkdirSync(bin);
    Deno.symlinkSync((await run(place, "sh", ["-c", "command -v node"])).text.trim(), `${bin}/node`);
    const launcher = `${place.path}/node_modules/cloze/launcher.cjs`;
    const cloze = (...args: string[]) => run(place, `${bin}/node`, [launcher, ...args], { PATH: bin });

    const data = SMALL_RUN.toSpliced(2, 0, "more.parquet");
    const trained = await cloze("pretrain", ...data, "--steps", "3", "--output", "model");
    assertEquals(trained.code, 0, trained.text);
    assertMatch(trained.text, /\n(try|next) +echo .* \| cloze predict --model model\n/);
    assertStringIncludes(Deno.readTextFileSync(`${place.path}/model/report.html`), "uPlot");
    Deno.writeTextFileSync(`${place.path}/in.txt`, "The [MASK] sees the dog.\n");
    const filled = await run(place, "sh", ["-c", `${bin}/node ${launcher} predict --model model --json < in.txt`]);
    assertEquals(filled.code, 0, filled.text);
    assertEquals(JSON.parse(filled.text).masks.length, 1);
    assertStringIncludes((await cloze("doctor")).text, `${CORE_PACKAGE}/`);
    assertEquals((await cloze("pretrian")).code, 2);
    // Each command's own modules are there: it says what is wrong with its flags, and not that a module is missing.
    for (const command of COMMANDS) {
      const { code, text } = await cloze(command, "--no-such-flag");
      assertEquals([code, text.includes("has no flag --no-such-flag")], [2, true], text);
    }
    const missing = await cloze("report", "--live", "nowhere");
    assertStringIncludes(missing.text, "nowhere is not the folder of a run");

    Deno.removeSync(`${place.path}/node_modules/@cloze`, { recursive: true });
    const without = await cloze("doctor");
    assertEquals(without.code, 1);
    assertStringIncludes(
      without.text,
      `error: the core for this machine is not installed: there is no package ${CORE_PACKAGE}`,
    );
  });
} else Deno.test({ name: "npm's packages (skipped: there is no node)", ignore: true, fn: () => {} });

testWithCore("set-up takes a core from npm that is made from the same sources, and no other", async () => {
  using place = new Place();
  const files = [
    "deno.json",
    "deno.lock",
    "Cargo.toml",
    "Cargo.lock",
    "core-rs/Cargo.toml",
    "core-rs/src",
    "core-candle",
    "tools",
    "ffi/platform.ts",
    "third_party/std",
    ".std",
  ];
  for (const file of files) {
    await Deno.mkdir(`${place.path}/${file}`.replace(/\/[^/]*$/, ""), { recursive: true });
    assertEquals((await run(place, "cp", ["-rp", `${root}/${file}`, `${place.path}/${file}`])).code, 0, file);
  }
  corePackage(`${place.path}/node_modules/${CORE_PACKAGE}`);
  // As after a set-up, so that nothing is fetched.
  Deno.mkdirSync(`${place.path}/target`);
  place.file("target/packages", Deno.env.get("DENO_DIR") ?? "default");
  const setup = () => run(place, Deno.execPath(), ["run", "-A", "-q", "tools/setup.ts"], { PATH: place.path });

  const taken = await setup();
  assertEquals([taken.code, taken.text], [0, `took the core from node_modules/${CORE_PACKAGE}\n`]);
  assertEquals(await setup(), { code: 0, text: "" }, "a second time");
  await Deno.writeTextFile(`${place.path}/core-rs/src/lib.rs`, "// changed\n", { append: true });
  const refused = await setup();
  assertEquals(refused.code, 1);
  assertStringIncludes(refused.text, "is made from other sources than these");
  assertStringIncludes(refused.text, "error: cargo, which builds the core, was not found");
});

testWithCore("a program of another Deno project checks and runs with mod.ts alone", async () => {
  using place = await trainedPlace();
  place.file("deno.json", "{}");
  Deno.copyFileSync(`${root}/tests/golden/text-zstd.parquet`, `${place.path}/text.parquet`);
  const program = place.file(
    "main.ts",
    `import { CORPUS_DEFAULTS, expandPaths, FillMask, loadTokenizer, prepareShards } from "${root}/mod.ts";

const files = await expandPaths(["text.parquet"], Deno.cwd());
const tokenizer = await loadTokenizer("model");
const data = await prepareShards("shards", { files, config: CORPUS_DEFAULTS }, tokenizer, { threads: 1 });
using model = await FillMask.open("model");
const [line] = await model.fill(["The ____ sees the dog."]);
console.log(data.reused, line.masks.length);
`,
  );
  const checked = await run(place, Deno.execPath(), ["check", "-q", program]);
  assertEquals(checked, { code: 0, text: "" });
  const { code, text } = await run(place, Deno.execPath(), ["run", "-q", "-A", program]);
  assertEquals([code, text], [0, "false 1\n"]);
});
