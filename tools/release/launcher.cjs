#!/usr/bin/env node
// Starts cloze under the Deno and with the core that npm has put beside it. A command gets the permissions that its task has
// in a checkout.
"use strict";

const { spawn } = require("node:child_process");
const path = require("node:path");

function fail(message, hint) {
  process.stderr.write(`error: ${message}\nhint: ${hint}\n`);
  process.exit(1);
}

const name = `@cloze/core-${process.platform}-${process.arch}`;
let core = process.env.CLOZE_CORE_LIB;
if (!core) {
  try {
    const manifest = require.resolve(`${name}/package.json`, { paths: [__dirname, process.cwd()] });
    core = path.join(path.dirname(manifest), require(manifest).main);
  } catch {
    fail(
      `the core for this machine is not installed: there is no package ${name}`,
      "npm leaves it out with --omit=optional, and where there is none; cloze's sources build one with Rust",
    );
  }
}

const { sets, flags } = require("./permissions.json");
const args = process.argv.slice(2);
const deno = require("deno/install_api.cjs").runInstall();
const child = spawn(
  deno,
  [
    "run",
    "-q",
    "--no-config",
    ...flags[sets[args[0]] ?? "tokenize"],
    `--allow-ffi=${core}`,
  ]
    .concat(path.join(__dirname, "cli/main.js"), args),
  {
    stdio: "inherit",
    env: {
      ...process.env,
      CLOZE_CORE_LIB: core,
      CLOZE_CALLED: process.env.npm_command === "exec" ? "npx cloze" : "cloze",
      INIT_CWD: "", // npm's, of the folder that it was called in, which need not be the one that this runs in
      npm_lifecycle_event: "",
    },
  },
);
// A terminal tells both of Ctrl-C; what only this process is told is handed on. The command decides when it ends.
process.on("SIGINT", () => {});
for (const signal of ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"]) {
  if (process.platform !== "win32") process.on(signal, () => child.kill(signal));
}
child.on(
  "error",
  (error) => fail(`Deno could not be started: ${error.message}`, "npm install cloze puts it there again"),
);
child.on("exit", (code, signal) => {
  if (signal === null) process.exit(code);
  for (const each of process.eventNames()) process.removeAllListeners(each);
  process.kill(process.pid, signal);
});
