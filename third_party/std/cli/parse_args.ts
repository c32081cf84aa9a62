/**
 * A stand-in for `@std/cli/parse-args` where JSR cannot be reached (see tools/std.ts): the same interface for what cloze
 * and its tests use, written for this project. Not used where JSR answers.
 */

/** Options of {@linkcode parseArgs}. */
export interface ParseOptions {
  /** Always true or false; `true` takes every `--flag` without `=` as one. */
  boolean?: boolean | string | readonly string[];
  /** Never turned into numbers. */
  string?: string | readonly string[];
  /** Gathered into arrays. */
  collect?: string | readonly string[];
  /** `--no-flag` sets these to false. */
  negatable?: string | readonly string[];
  alias?: Record<string, string | readonly string[]>;
  default?: Record<string, unknown>;
  /** Whether what follows `--` goes to `"--"` instead of `_`. */
  "--"?: boolean;
  /** Whether everything after the first positional is positional. */
  stopEarly?: boolean;
  /** Called for what is not declared; `false` leaves it out. */
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

/** What {@linkcode parseArgs} returns. */
export interface Args {
  _: (string | number)[];
  "--"?: string[];
  // deno-lint-ignore no-explicit-any
  [flag: string]: any;
}

const list = (value: boolean | string | readonly string[] | undefined): readonly string[] =>
  typeof value === "string" ? [value] : Array.isArray(value) ? value : [];

const isNumber = (text: string) =>
  /^0x[0-9a-f]+$/i.test(text) || /^[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?$/i.test(text);

/** Parses command line arguments. */
export function parseArgs(args: readonly string[], options: ParseOptions = {}): Args {
  const names = new Map<string, string[]>();
  for (const [key, value] of Object.entries(options.alias ?? {})) {
    const all = [key, ...list(value)];
    for (const name of all) names.set(name, [...new Set([...(names.get(name) ?? []), ...all])]);
  }
  const withAliases = (value: boolean | string | readonly string[] | undefined) =>
    new Set(list(value).flatMap((name) => [name, ...(names.get(name) ?? [])]));
  const booleans = withAliases(options.boolean), strings = withAliases(options.string);
  const collects = withAliases(options.collect), negatables = withAliases(options.negatable);
  const allBooleans = options.boolean === true;
  const declared = (key: string) =>
    booleans.has(key) || strings.has(key) || names.has(key) || collects.has(key) || allBooleans;

  const result: Args = { _: [] };
  const given = new Set<string>();
  const write = (key: string, value: unknown, append: boolean) => {
    const path = key.split(".");
    // deno-lint-ignore no-explicit-any
    let target: any = result;
    for (const part of path.slice(0, -1)) {
      if (part === "__proto__" || part === "constructor") return;
      target = target[part] ??= {};
    }
    const last = path[path.length - 1];
    if (last === "__proto__") return;
    if (append) (target[last] ??= []).push(value);
    else target[last] = value;
  };
  const set = (key: string, value: unknown, arg?: string) => {
    if (arg !== undefined && options.unknown !== undefined && !declared(key)) {
      if (options.unknown(arg, key, value) === false) return;
    }
    const typed = !strings.has(key) && typeof value === "string" && isNumber(value) ? Number(value) : value;
    for (const name of names.get(key) ?? [key]) {
      given.add(name);
      write(name, typed, collects.has(name));
    }
  };

  const separator = args.indexOf("--");
  const rest = separator < 0 ? [] : args.slice(separator + 1);
  const main = separator < 0 ? args : args.slice(0, separator);
  const positional = (arg: string) => {
    if (options.unknown !== undefined && options.unknown(arg) === false) return;
    result._.push(strings.has("_") || !isNumber(arg) ? arg : Number(arg));
  };
  const isValue = (arg: string | undefined): arg is string =>
    arg !== undefined && (!arg.startsWith("-") || isNumber(arg) || arg === "-");

  for (let i = 0; i < main.length; i++) {
    const arg = main[i];
    const long = /^--([^=]+)(?:=([\s\S]*))?$/.exec(arg);
    if (long !== null) {
      const [, key, value] = long;
      if (value !== undefined) {
        set(key, booleans.has(key) || (allBooleans && !strings.has(key)) ? value !== "false" : value, arg);
      } else if (key.startsWith("no-") && negatables.has(key.slice(3))) {
        set(key.slice(3), false, arg);
      } else if (booleans.has(key) || allBooleans) {
        if (main[i + 1] === "true" || main[i + 1] === "false") set(key, main[++i] === "true", arg);
        else set(key, true, arg);
      } else if (isValue(main[i + 1])) {
        set(key, main[++i], arg);
      } else {
        set(key, strings.has(key) ? "" : true, arg);
      }
      continue;
    }
    if (/^-[^-]/.test(arg) && !isNumber(arg)) {
      const letters = arg.slice(1);
      for (let j = 0; j < letters.length; j++) {
        const key = letters[j], after = letters.slice(j + 1);
        if (after.startsWith("=")) {
          set(key, after.slice(1), arg);
          break;
        }
        if (after !== "" && isNumber(after) && !booleans.has(key)) {
          set(key, after, arg);
          break;
        }
        if (after === "" && !booleans.has(key) && isValue(main[i + 1])) set(key, main[++i], arg);
        else set(key, strings.has(key) ? "" : true, arg);
      }
      continue;
    }
    positional(arg);
    if (options.stopEarly) {
      result._.push(...main.slice(i + 1));
      break;
    }
  }
  if (options["--"]) result["--"] = [...rest];
  else result._.push(...rest);
  for (const [key, value] of Object.entries(options.default ?? {})) {
    for (const name of names.get(key) ?? [key]) if (!given.has(name)) write(name, value, false);
  }
  for (const key of booleans) {
    if (!given.has(key) && options.default?.[key] === undefined) write(key, result[key] ?? false, false);
  }
  for (const key of collects) if (!given.has(key) && result[key] === undefined) write(key, [], false);
  return result;
}
