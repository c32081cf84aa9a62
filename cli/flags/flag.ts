/**
 * One table a command: its parser, its `--help`, its options' type and docs/cli.md are made from it, so they cannot
 * disagree. Here are the kinds of flags that tables are made of.
 */

import { nearest } from "./nearest.ts";

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
  /** The text that is read as a value, where it is not `String(value)`. */
  readonly write?: (value: T) => string;
}

/** The flags of a command, by name without dashes. */
// deno-lint-ignore no-explicit-any
export type Flags = Record<string, Flag<any>>;

/** What parsing gives: the values of the flags that were given. */
export type Values<F extends Flags> = { [K in keyof F]?: F[K] extends Flag<infer T> ? T : never };

/** What a command is called with: the values of its flags under their names, and the other words. */
export type Options<F extends Flags> = Values<F> & { readonly positionals?: readonly string[] };

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
export function texts(value: string, help: string, fallback?: string): Flag<string[]> {
  const shown = fallback === undefined ? {} : { fallback };
  return { value, help, ...shown, many: true, read: (text) => text as unknown as string[] };
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
    write: (list) => list.join(","),
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
    write: (parts) => parts.map((part) => Number((100 * part).toFixed(6))).join("/"),
  };
}

/** A path with a share behind it, such as `other.txt:5%`. */
export function pathWithShare(help: string): Flag<{ path: string; share: number }> {
  return {
    value: "PATH:SHARE",
    help,
    read: (text) => {
      const [, path, percent] = /^(.+):(\d+(?:\.\d+)?)%$/.exec(text.trim()) ?? [];
      const share = Number(percent) / 100;
      if (!(share > 0 && share < 1)) throw new Error("has to be a path with a share, such as other.txt:5%");
      return { path, share };
    },
    write: ({ path, share }) => `${path}:${Number((100 * share).toFixed(6))}%`,
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
    write: (ms) => `${ms / 1000}s`,
  };
}

/** A flag of every command. */
export const HELP = toggle("Show this help.");
