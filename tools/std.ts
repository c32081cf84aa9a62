/**
 * Makes `@std/*` resolvable: from JSR where it answers, else from the stand-ins in third_party/std, which are copied to
 * `.std/` (a glob in deno.json's workspace, so absent when the folder is). Imports nothing from @std itself.
 *
 * A failure of JSR that is not "does not answer at all" is shown and is a failure. `CLOZE_STD=jsr` or `stand-in` forces
 * either way. usage: deno run -A tools/std.ts
 */

const root = `${import.meta.dirname}/..`;

async function remove(path: string): Promise<void> {
  await Deno.remove(path, { recursive: true }).catch(() => {});
}

async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const entry of Deno.readDir(from)) {
    const [source, target] = [`${from}/${entry.name}`, `${to}/${entry.name}`];
    if (entry.isDirectory) await copyFolder(source, target);
    else if (!entry.name.endsWith("_test.ts")) await Deno.copyFile(source, target);
  }
}

async function useStandIns(why: string): Promise<void> {
  await remove(`${root}/.std.tmp`);
  await copyFolder(`${root}/third_party/std`, `${root}/.std.tmp`);
  await remove(`${root}/.std`);
  await Deno.rename(`${root}/.std.tmp`, `${root}/.std`);
  console.error(`std: ${why}, so third_party/std stands in for @std`);
}

/** Resolves the packages as a project without stand-ins would; returns what Deno said if that failed. */
async function resolveFromJsr(): Promise<string | undefined> {
  await remove(`${root}/.std`);
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["cache", "-q", `${root}/tools/std_probe.ts`],
    cwd: root,
    env: { NO_COLOR: "1" },
    stdout: "null",
    stderr: "piped",
  }).output();
  return success ? undefined : new TextDecoder().decode(stderr);
}

/** What Deno says when it could not reach JSR; a wrong version or checksum reads differently. */
const NO_ANSWER = /failed to load|error sending request|dns error|timed out|network is unreachable/i;

const choice = Deno.env.get("CLOZE_STD");
if (choice !== undefined && choice !== "jsr" && choice !== "stand-in") {
  console.error(`error: CLOZE_STD is ${JSON.stringify(choice)}, but has to be jsr or stand-in`);
  Deno.exit(1);
}
const failure = choice === "stand-in" ? undefined : await resolveFromJsr();
if (choice === "stand-in" || (choice === undefined && failure !== undefined && NO_ANSWER.test(failure))) {
  await useStandIns(choice === undefined ? "JSR does not answer" : "CLOZE_STD says so");
} else if (failure !== undefined) {
  console.error(`error: @std could not be resolved from JSR:\n${failure}`);
  console.error("hint: CLOZE_STD=stand-in uses the stand-ins in third_party/std");
  Deno.exit(1);
}
