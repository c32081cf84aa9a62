/** An argument list in, the values of a command's flags out. Called by `cli/main.ts` alone. */

import { parseArgs } from "@std/cli/parse-args";
import { program } from "../../config/called.ts";
import { ClozeError } from "../../config/cloze_error.ts";
import { type CommandTable, type Flags, HELP, type Values } from "./flag.ts";
import { nearest } from "./nearest.ts";

/**
 * Parses a command's arguments.
 *
 * @throws {ClozeError} `usage`, naming the flag.
 */
export function parseFlags<F extends Flags>(
  table: CommandTable<F>,
  args: readonly string[],
): { values: Values<F>; positionals: string[]; help: boolean } {
  const flags: Flags = { ...table.flags, help: HELP };
  const entries = Object.entries(flags);
  const hint = `${program()} help ${table.name} lists the flags`;
  const switches = entries.filter(([, flag]) => flag.value === "").map(([name]) => name);
  const parsed = parseArgs(joinNegative(args, flags), {
    boolean: switches,
    string: ["_", ...entries.filter(([, flag]) => flag.value !== "").map(([name]) => name)],
    collect: entries.filter(([, flag]) => flag.value !== "").map(([name]) => name),
    alias: { help: "h" },
    unknown: (arg, key) => {
      if (key === undefined) return true;
      const bare = key.replace(/=$/, ""); // parseArgs takes `--flag=` for a flag named `flag=`
      if (bare !== key && Object.hasOwn(flags, bare)) {
        throw new ClozeError("usage", `--${bare} needs a value: ${flags[bare].value}`, { hint });
      }
      const now = table.renamed?.[bare];
      if (now !== undefined) {
        throw new ClozeError("usage", `cloze ${table.name} has no flag --${bare}: it is called --${now}`, {
          hint: `give --${now} ${flags[now].value}`,
        });
      }
      const near = nearest(key, Object.keys(flags));
      throw new ClozeError("usage", `cloze ${table.name} has no flag ${arg.replace(/=.*/s, "")}`, {
        hint: near === undefined ? hint : `did you mean --${near}?`,
      });
    },
  });
  const positionals = parsed._.map(String);
  if (table.positional === undefined && positionals.length > 0 && !parsed.help) {
    throw new ClozeError("usage", `cloze ${table.name} takes no argument ${JSON.stringify(positionals[0])}`, { hint });
  }
  const values: Record<string, unknown> = {};
  for (const [name, flag] of entries) {
    if (flag.value === "") {
      if (parsed[name] === true) values[name] = true;
      continue;
    }
    const given = parsed[name] as string[];
    if (given.length === 0) continue;
    const read = (text: string) => {
      if (text === "") throw new ClozeError("usage", `--${name} needs a value: ${flag.value}`, { hint });
      try {
        return flag.read(text);
      } catch (error) {
        throw new ClozeError("usage", `--${name} is ${JSON.stringify(text)}, but ${(error as Error).message}`, {
          hint,
        });
      }
    };
    if (!flag.many && given.length > 1) throw new ClozeError("usage", `--${name} is given more than once`, { hint });
    values[name] = flag.many ? given.map(read) : read(given[0]);
  }
  return { values: values as Values<F>, positionals, help: parsed.help === true };
}

/** `--flag -5` as `--flag=-5`, and `--flag -`: parseArgs takes no value that begins with a dash from the next word. */
function joinNegative(args: readonly string[], flags: Flags): string[] {
  const joined: string[] = [];
  const end = args.indexOf("--");
  args.forEach((arg, i) => {
    const flag = i > 0 && (end < 0 || i < end) && args[i - 1].startsWith("--")
      ? flags[args[i - 1].slice(2)]
      : undefined;
    if (flag !== undefined && flag.value !== "" && /^-([\d.]|$)/.test(arg)) joined[joined.length - 1] += `=${arg}`;
    else joined.push(arg);
  });
  return joined;
}
