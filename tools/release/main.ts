/**
 * Makes what a release consists of, in dist/release/: npm's packages of the command and of this platform's core, the single
 * binary, and SHA256SUMS; then tries what JSR would publish. Nothing is published. docs/release.md says the rest.
 * usage: deno task release
 */

import { createHash } from "node:crypto";
import { commandPackage, corePackage } from "./npm.ts";

const root = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");
const release = `${root}/dist/release`;

async function run(command: string, args: string[], cwd = root): Promise<boolean> {
  const child = new Deno.Command(command, { args, cwd, stdin: "null", stdout: "null", stderr: "piped" });
  const { success, stderr } = await child.output();
  if (!success) console.error(new TextDecoder().decode(stderr).trim());
  return success;
}

function fail(message: string): never {
  console.error(`error: ${message}`);
  Deno.exit(1);
}

await Deno.remove(release, { recursive: true }).catch(() => {});
const work = Deno.makeTempDirSync({ prefix: "cloze-release-" });
try {
  for (const [name, make] of [["command", commandPackage], ["core", corePackage]] as const) {
    make(`${work}/${name}`);
    Deno.mkdirSync(release, { recursive: true });
    const npm = Deno.build.os === "windows" ? "npm.cmd" : "npm";
    if (!await run(npm, ["pack", "--silent", "--pack-destination", release], `${work}/${name}`)) {
      fail("npm pack failed");
    }
  }
} finally {
  Deno.removeSync(work, { recursive: true });
}

if (await run(Deno.execPath(), ["run", "-A", "-q", "tools/compile.ts"])) {
  const exe = Deno.build.os === "windows" ? ".exe" : "";
  Deno.copyFileSync(`${root}/dist/cloze${exe}`, `${release}/cloze-${Deno.build.target}${exe}`);
} else console.error("the single binary is not among the release's files");

const sums = [...Deno.readDirSync(release)].map(({ name }) => name).sort().map((name) =>
  `${createHash("sha256").update(Deno.readFileSync(`${release}/${name}`)).digest("hex")}  ${name}\n`
);
Deno.writeTextFileSync(`${release}/SHA256SUMS`, sums.join(""));
console.log(sums.join("").trimEnd());

if (!await run(Deno.execPath(), ["publish", "--dry-run", "--allow-dirty", "-q"])) {
  fail("JSR would not take the package");
}
console.log("JSR would take the package @cloze/cloze");
