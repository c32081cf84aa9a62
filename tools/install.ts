/**
 * Puts the command `cloze` where the shell finds it: a small script that runs this checkout, from any folder, with the
 * permissions of each command's task; and its man page where `man` finds it, which is beside a folder `bin`.
 * usage: deno task install [FOLDER]
 */

import { loadTables } from "../cli/commands/registry.ts";
import { VERSION } from "../config/run_config.ts";
import { manPage } from "./man_page.ts";

const root = new URL("..", import.meta.url).pathname.replace(/\/$/, "");

/** A word of the shell. */
const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

if (Deno.build.os === "windows") {
  console.error("error: the installed command is a script for Unix shells");
  console.error("hint: deno task compile makes dist/cloze.exe");
  Deno.exit(1);
}

const path = (Deno.env.get("PATH") ?? "").split(":");
const home = Deno.env.get("HOME") ?? root;
const usual = [".local/bin", ".deno/bin", "bin", ".cargo/bin"].map((folder) => `${home}/${folder}`);
const caller = Deno.env.get("INIT_CWD") ?? Deno.cwd();
const [given] = Deno.args;
const folder = given === undefined
  ? usual.find((folder) => path.includes(folder)) ?? usual[0]
  : given.startsWith("/")
  ? given
  : `${caller}/${given}`;

const { tasks } = JSON.parse(await Deno.readTextFile(`${root}/deno.json`)) as {
  tasks: Record<string, { command: string }>;
};
const sets = Object.entries(tasks).flatMap(([name, { command }]) => {
  const set = /-P=(\S+) cli\/main\.ts/.exec(command)?.[1];
  return set === undefined ? [] : [`  ${name}) set=${set} ;;`];
});

const script = `#!/bin/sh
# cloze, as it stands in the checkout below. Made by its task "install".
root=${quoted(root)}
deno=${quoted(Deno.execPath())}
[ -x "$deno" ] || deno=$(command -v deno) || {
  echo "error: Deno is not where it was when cloze was installed" >&2
  echo "hint: npm install -g deno" >&2
  exit 1
}
case "$1" in
${sets.join("\n")}
  *) set=tokenize ;;
esac
export CLOZE_CALLED=cloze # so that what it prints can be typed
unset INIT_CWD # of whoever calls this; the folder is the one that it is called in
exec "$deno" run -q --config "$root/deno.json" -P=$set "$root/cli/main.ts" "$@"
`;

await Deno.mkdir(folder, { recursive: true });
const file = `${folder}/cloze`;
const earlier = await Deno.readTextFile(file).catch(() => undefined);
if (earlier !== undefined && !earlier.includes('Made by its task "install".')) {
  console.error(`error: ${file} is there already, and is something else`);
  console.error("hint: move it away, or name another folder: deno task install FOLDER");
  Deno.exit(1);
}
await Deno.writeTextFile(`${file}.new`, script, { mode: 0o755 });
await Deno.rename(`${file}.new`, file);
console.log(`installed ${file}`);
if (!path.includes(folder)) console.log(`hint: ${folder} is not in PATH yet: export PATH=${quoted(folder)}:"$PATH"`);
if (folder.endsWith("/bin")) {
  const pages = folder.replace(/bin$/, "share/man/man1");
  await Deno.mkdir(pages, { recursive: true });
  await Deno.writeTextFile(`${pages}/cloze.1`, manPage(await loadTables(), VERSION));
  console.log("man page:    man cloze");
}
console.log("completions: cloze completions bash|zsh|fish --help tells where they go");
