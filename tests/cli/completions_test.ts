/** What completions gives, asked in real shells where they are installed. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { loadTables } from "../../cli/commands/registry.ts";
import { Place } from "../support.ts";

/** A test that needs a shell. */
function testIn(
  shell: string,
  name: string,
  fn: (place: Place, run: (script: string) => string) => Promise<void>,
): void {
  let found = true;
  try {
    new Deno.Command(shell, { args: ["-c", "true"] }).outputSync();
  } catch {
    found = false;
  }
  Deno.test({
    name: found ? name : `${name} (skipped: no ${shell} was found)`,
    ignore: !found,
    fn: async () => {
      using place = new Place();
      const { code, stdout, stderr } = await place.cloze(["completions", shell]);
      assertEquals(code, 0, stderr);
      place.file("completions", stdout);
      await fn(place, (script) => {
        const run = new Deno.Command(shell, { args: ["-c", script], cwd: place.path, env: place.env }).outputSync();
        assertEquals(new TextDecoder().decode(run.stderr), "");
        return new TextDecoder().decode(run.stdout).trim();
      });
    },
  });
}

testIn("bash", "bash completes commands, flags, their values and paths", async (place, run) => {
  place.file("in.txt", "");
  Deno.mkdirSync(`${place.path}/runs`);
  const complete = (...words: string[]) => {
    const list = words.map((word) => `'${word}'`).join(" ");
    return run(
      `. ./completions; COMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}; _cloze; echo "\${COMPREPLY[*]}"`,
    );
  };
  assertEquals(complete("cloze", "pre"), "pretrain predict");
  assertEquals(complete("cloze", "predict", "--mod"), "--model");
  assertEquals(complete("cloze", "predict", "--device", ""), "cpu cuda auto");
  assertEquals(complete("cloze", "predict", "--device", "=", "cu"), "cuda");
  assertEquals(complete("cloze", "predict", "--model", ""), "runs");
  assertEquals(complete("cloze", "predict", "i"), "in.txt");
  assertEquals(complete("cloze", "predict", "--top-k", "i"), "");
  assertEquals(complete("cloze", "completions", ""), "bash zsh fish");
  for (const { name, flags } of await loadTables()) {
    const found = complete("cloze", name, "--").split(" ");
    assertEquals(found, [...Object.keys(flags), "help"].map((flag) => `--${flag}`), name);
  }
});

testIn("fish", "fish completes commands, flags and their values", (_, run) => {
  const complete = (line: string) => run(`source completions; complete -C "${line}"`);
  assertStringIncludes(complete("cloze pretr"), "pretrain\tTrains a masked language model");
  assertStringIncludes(complete("cloze predict --dev"), "--device");
  assertEquals(complete("cloze predict --device c").split("\n").map((row) => row.split("\t")[0]), ["cpu", "cuda"]);
  return Promise.resolve();
});

testIn("zsh", "zsh takes the script as a function of fpath", (place, run) => {
  Deno.renameSync(`${place.path}/completions`, `${place.path}/_cloze`);
  assertEquals(
    run(`zsh -n _cloze && fpath=($PWD $fpath) && autoload -Uz compinit && compinit -u -D && echo $_comps[cloze]`),
    "_cloze",
  );
  return Promise.resolve();
});

Deno.test("completions names the shells that it knows", async () => {
  using place = new Place();
  for (const args of [[], ["tcsh"], ["bash", "zsh"]]) {
    const { code, stderr } = await place.cloze(["completions", ...args]);
    assertEquals([code, /bash, zsh, fish/.test(stderr)], [2, true], stderr);
  }
});
