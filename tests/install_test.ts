/** The installed command: a script that runs this checkout from any folder. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { COMMANDS } from "../cli/commands/registry.ts";
import { Place, testWithCore } from "./support.ts";

const root = new URL("..", import.meta.url).pathname;

function install(place: Place, folder: string) {
  const { code, stdout, stderr } = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "-q", `${root}tools/install.ts`, folder],
    cwd: place.path,
    env: place.env,
  }).outputSync();
  return { code, text: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
}

testWithCore("the installed command runs in the folder that it is called in, whatever the environment says", () => {
  using place = new Place();
  const { code, text } = install(place, "bin");
  assertEquals(code, 0, text);
  assertStringIncludes(text, "is not in PATH yet");
  assertEquals(install(place, "bin").code, 0, "a second time");
  place.file("in.txt", "The cat sees the dog.\n");
  const run = (...args: string[]) => {
    const env = { NO_COLOR: "1", INIT_CWD: "/nowhere" };
    const output = new Deno.Command(`${place.path}/bin/cloze`, { args, cwd: place.path, env }).outputSync();
    return {
      code: output.code,
      text: new TextDecoder().decode(output.stdout) + new TextDecoder().decode(output.stderr),
    };
  };
  for (const args of [["--version"], ["version"], ["predict", "--version"]]) {
    assertMatch(run(...args).text, /^cloze \d+\.\d+\.\d+\n$/);
  }
  const page = Deno.readTextFileSync(`${place.path}/share/man/man1/cloze.1`);
  for (const command of COMMANDS) assertStringIncludes(page, `\n.SS cloze ${command.replaceAll("-", "\\-")}`);
  assertEquals(
    page.split("\n").filter((line) => /^['.](?![A-Z]|br|nf|fi|ad)/.test(line)),
    [],
    "text that troff would obey",
  );
  const trained = run("train-tokenizer", "--data", "in.txt", "--vocab-size", "60", "--output", "tokens");
  assertEquals(trained.code, 0, trained.text);
  assertEquals(Deno.statSync(`${place.path}/tokens/tokenizer.json`).isFile, true);
  const wrong = run("predict", "--model", "nowhere");
  assertEquals(wrong.code, 1);
  assertStringIncludes(wrong.text, `${place.path}/nowhere`);
});

Deno.test("install leaves another program of that name alone", () => {
  using place = new Place();
  Deno.mkdirSync(`${place.path}/bin`);
  place.file("bin/cloze", "#!/bin/sh\n");
  const { code, text } = install(place, "bin");
  assertEquals([code, text.includes("something else")], [1, true], text);
  assertEquals(Deno.readTextFileSync(`${place.path}/bin/cloze`), "#!/bin/sh\n");
});
