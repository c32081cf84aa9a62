/**
 * One table a command: its parser, its `--help` and docs/cli.md are made from it, so they cannot disagree. Knows no
 * command's meaning.
 */

import { parseArgs } from "@std/cli/parse-args";
import { ClozeError } from "../../config/cloze_error.ts";

/** A flag's type, as people write it. */
export interface Flag<T> {
  /** Shown behind the flag: `N`, `PATH`; empty for a switch. */
  readonly value: string;
  readonly help: string;
  /** Shown in the help; what applies is decided by the command. */
  readonly fallback?: string;
  readonly many?: boolean;
  /** @throws {Error} saying what the value has to be. */
  readonly read: (text: string) => T;
}

/** The flags of a command, by name without dashes. */
// deno-lint-ignore no-explicit-any
export type Flags = Record<string, Flag<any>>;

/** What parsing gives: the values of the flags that were given. */
export type Values<F extends Flags> = { [K in keyof F]?: F[K] extends Flag<infer T> ? T : never };

/** A command's table. */
export interface CommandTable<F extends Flags = Flags> {
  readonly name: string;
  readonly summary: string;
  /** The words behind the name. */
  readonly usage: string;
  /** What the other words on the command line are; none are allowed without it. */
  readonly positional?: string;
  readonly details: string;
  readonly flags: F;
  /** Names that flags had before, each with the one that it has now. */
  readonly renamed?: Record<string, string>;
  readonly examples: readonly string[];
}

/** A switch. */
export function toggle(help: string): Flag<boolean> {
  return { value: "", help, read: () => true };
}

/** Any text. */
export function text(value: string, help: string, fallback?: string): Flag<string> {
  return { value, help, ...(fallback === undefined ? {} : { fallback }), read: (text) => text };
}

/** A text that may be given more than once. */
export function texts(value: string, help: string): Flag<string[]> {
  return { value, help, many: true, read: (text) => text as unknown as string[] };
}

/** Words with commas between them. */
export function words(value: string, help: string): Flag<string[]> {
  return {
    value,
    help,
    read: (text) => {
      const list = text.split(",").map((word) => word.trim());
      if (list.includes("")) throw new Error("has to be words with commas between them");
      return [...new Set(list)];
    },
  };
}

/** One of several words. */
export function choice<T extends string>(choices: readonly T[], help: string, fallback?: string): Flag<T> {
  return {
    value: choices.join("|"),
    help,
    ...(fallback === undefined ? {} : { fallback }),
    read: (text) => {
      const found = choices.find((choice) => choice === text);
      if (found === undefined) {
        const near = nearest(text, choices);
        throw new Error(
          `has to be one of ${choices.join(", ")}${near === undefined ? "" : ` (did you mean ${near}?)`}`,
        );
      }
      return found;
    },
  };
}

const CHARACTERS: Record<string, string> = {
  comma: ",",
  semicolon: ";",
  tab: "\t",
  "\\t": "\t",
  pipe: "|",
  space: " ",
};

/** A character that separates fields, as it is or by name. */
export function separator(help: string, fallback: string): Flag<string> {
  return {
    value: "comma|semicolon|tab|pipe|CHARACTER",
    help,
    fallback,
    read: (text) => {
      const character = Object.hasOwn(CHARACTERS, text) ? CHARACTERS[text] : text;
      if (character.length !== 1 || /["\r\n\uD800-\uDFFF]/.test(character)) {
        throw new Error("has to be one character, or comma, semicolon, tab, pipe or space");
      }
      return character;
    },
  };
}

/** A number in a range. */
export function number(
  range: { min: number; max: number; integer?: boolean },
  help: string,
  fallback?: string,
): Flag<number> {
  const { min, max, integer = false } = range;
  return {
    value: integer ? "N" : "X",
    help,
    ...(fallback === undefined ? {} : { fallback }),
    read: (text) => {
      const value = text.trim() === "" ? NaN : Number(text);
      if (!(value >= min && value <= max) || (integer && !Number.isInteger(value))) {
        throw new Error(`has to be ${integer ? "a whole number" : "a number"} from ${min} to ${max}`);
      }
      return value;
    },
  };
}

/** Three shares of a hundred, such as `80/10/10`. */
export function shares(value: string, help: string, fallback?: string): Flag<[number, number, number]> {
  return {
    value,
    help,
    ...(fallback === undefined ? {} : { fallback }),
    read: (text) => {
      const parts = text.trim().split("/").map((part) => /^\d+(\.\d+)?$/.test(part) ? Number(part) : NaN);
      const sum = parts.reduce((a, b) => a + b, 0);
      if (parts.length !== 3 || !(Math.abs(sum - 100) < 1e-6)) {
        throw new Error("has to be three shares of 100: 80/10/10");
      }
      return parts.map((part) => part / 100) as [number, number, number];
    },
  };
}

/** A time such as `90s`, `30m` or `2h`, in milliseconds. */
export function duration(help: string, fallback?: string): Flag<number> {
  return {
    value: "TIME",
    help,
    ...(fallback === undefined ? {} : { fallback }),
    read: (text) => {
      const match = /^(\d+(?:\.\d+)?)(s|m|h)$/.exec(text.trim());
      const ms = match === null ? 0 : Number(match[1]) * { s: 1e3, m: 6e4, h: 36e5 }[match[2] as "s" | "m" | "h"];
      if (ms <= 0) throw new Error("has to be a time such as 90s, 30m or 2h");
      return ms;
    },
  };
}

const HELP = toggle("Show this help.");

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
  const hint = `cloze ${table.name} --help lists the flags`;
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

/** The name that is meant, if one is close: at most two letters away, or beginning the same. */
export function nearest(word: string, names: readonly string[]): string | undefined {
  const scored = names.map((name) => ({ name, distance: distance(word, name) })).sort((a, b) =>
    a.distance - b.distance
  );
  const [best] = scored;
  if (best !== undefined && best.distance <= Math.max(1, Math.min(2, word.length - 2))) return best.name;
  return word.length >= 3 ? names.find((name) => name.startsWith(word)) : undefined;
}

/** Levenshtein distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}

/** The text of `--help`. */
export function helpText(table: CommandTable): string {
  const rows = Object.entries({ ...table.flags, help: HELP }).map(([name, flag]) => {
    const left = `--${name}${flag.value === "" ? "" : ` ${flag.value}`}`;
    return [left, flag.help + (flag.fallback === undefined ? "" : ` Default: ${flag.fallback}.`)] as const;
  });
  const lines = [
    `cloze ${table.name} ${table.usage}`.trimEnd(),
    "",
    ...wrap(table.summary, 96, ""),
    ...(table.details === "" ? [] : ["", ...wrap(table.details, 96, "")]),
    "",
    "Flags:",
    ...rows.flatMap(([left, help]) => {
      const [first, ...rest] = wrap(help, 68, "");
      const padded = `  ${left.padEnd(26)}`;
      const head = left.length >= 26 ? [`  ${left}`, `${" ".repeat(28)}${first}`] : [`${padded}${first}`];
      return [...head, ...rest.map((line) => " ".repeat(28) + line)];
    }),
    "",
    "Examples:",
    ...table.examples.map((example) => `  ${example}`),
  ];
  return lines.join("\n") + "\n";
}

function wrap(text: string, width: number, indent: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(indent + line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, indent + line];
}
