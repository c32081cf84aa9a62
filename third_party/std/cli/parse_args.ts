/**
 * A stand-in for `@std/cli/parse-args` where JSR cannot be reached (see tools/std.ts): the same results, oddities included,
 * so that a program cannot tell which of the two it runs with. Written for this project; its types are looser.
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
  /** Other names of a flag; a value is stored under each of them. */
  alias?: Record<string, string | readonly string[]>;
  /** Values of flags that are not given. */
  default?: Record<string, unknown>;
  /** Whether what follows `--` goes to `"--"` instead of `_`. */
  "--"?: boolean;
  /** Whether everything after the first word that is no flag is left unparsed in `_`. */
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

type Names = boolean | string | readonly string[] | undefined;

/** Anything that JavaScript reads as a finite number: `007`, `0x10` and `1e3` too. */
function isNumber(text: string): boolean {
  return text.trim() !== "" && Number.isFinite(Number(text));
}

/** A dotted key's place in the result: `a.b.c` is `c` in `b` in `a`. */
class Place {
  readonly #path: string[];
  constructor(key: string) {
    this.#path = key.split(".");
  }

  isSet(result: object): boolean {
    let at: unknown = result;
    return this.#path.every((part) => {
      if (typeof at !== "object" || at === null || !Object.hasOwn(at, part)) {
        return false;
      }
      at = (at as Record<string, unknown>)[part];
      return true;
    });
  }

  set(result: object, value: unknown, collect = false): void {
    if (this.#path.includes("__proto__")) return;
    let at = result as Record<string, unknown>;
    for (const part of this.#path.slice(0, -1)) {
      at = (at[part] ??= {}) as Record<string, unknown>;
    }
    const last = this.#path.at(-1)!, old = at[last];
    if (!collect) at[last] = value;
    else if (Array.isArray(old)) old.push(value);
    else at[last] = old ? [old, value] : [value];
  }
}

/** What the options declare. */
class Declared {
  readonly aliases = new Map<string, string[]>();
  readonly booleans: Set<string>;
  readonly strings: Set<string>;
  readonly collects: Set<string>;
  readonly negatables: Set<string>;
  readonly allBooleans: boolean;

  constructor(options: ParseOptions) {
    for (const [key, value] of Object.entries(options.alias ?? {})) {
      const others = typeof value === "string" ? [value] : [...value];
      this.aliases.set(key, others);
      for (const name of others) {
        this.aliases.set(name, [
          key,
          ...others.filter((other) => other !== name),
        ]);
      }
    }
    const withAliases = (names: Names) => {
      const listed = typeof names === "string" ? [names] : Array.isArray(names) ? names as string[] : [];
      return new Set(
        listed.filter((name) => name !== "").flatMap((
          name,
        ) => [name, ...this.aliasesOf(name)]),
      );
    };
    this.booleans = withAliases(options.boolean);
    this.strings = withAliases(options.string);
    this.collects = withAliases(options.collect);
    this.negatables = withAliases(options.negatable);
    this.allBooleans = options.boolean === true;
  }

  aliasesOf(key: string): string[] {
    return this.aliases.get(key) ?? [];
  }

  isBoolean(key: string): boolean {
    return this.booleans.has(key) ||
      this.aliasesOf(key).some((name) => this.booleans.has(name));
  }

  /** What a flag is without a value. */
  bare(key: string): string | true {
    return this.strings.has(key) ? "" : true;
  }

  knows(key: string, arg: string): boolean {
    return this.booleans.has(key) || this.strings.has(key) ||
      this.aliases.has(key) || this.collects.has(key) ||
      (this.allBooleans && /^--[^=]+$/.test(arg));
  }
}

/**
 * Parses command line arguments. `--a b`, `--a=b`, `-a b`, `-a=b` and `-a5` give a flag its value, `-abc` is three flags,
 * `--a.b 1` nests. What looks like a number is one unless it is declared as a string. A value after a space cannot begin
 * with `-` and cannot be empty, and `--a=` is a flag named `a=`, as the original has it.
 */
export function parseArgs(
  args: readonly string[],
  options: ParseOptions = {},
): Args {
  const declared = new Declared(options);
  const result: Args = { _: [] };

  const set = (
    key: string,
    value: string | boolean,
    arg: string,
    collect = true,
  ) => {
    if (
      !declared.knows(key, arg) && options.unknown?.(arg, key, value) === false
    ) return;
    const typed = typeof value === "string" && !declared.strings.has(key) && isNumber(value) ? Number(value) : value;
    for (const name of [key, ...declared.aliasesOf(key)]) {
      new Place(name).set(result, typed, collect && declared.collects.has(key));
    }
  };

  const end = args.indexOf("--");
  const words = end < 0 ? args : args.slice(0, end);
  const rest = end < 0 ? [] : args.slice(end + 1);

  /** Sets a flag that has no value of its own from the next word, if that can be one; says whether it was. */
  const setFromNext = (
    key: string,
    arg: string,
    next: string | undefined,
    takesValue: boolean,
  ): boolean => {
    if (next && takesValue) set(key, next, arg);
    else if (next === "true" || next === "false") {
      set(key, next === "true", arg);
    } else {
      set(key, declared.bare(key), arg);
      return false;
    }
    return true;
  };

  const long = (arg: string, next: string | undefined): boolean => {
    const equals = arg.indexOf("=", 3); // a name has at least one letter
    const hasValue = equals >= 0 && equals + 1 < arg.length;
    const name = arg.slice(2, hasValue ? equals : undefined);
    const positive = name.startsWith("no-") && name.length > 3 ? name.slice(3) : undefined;
    if (hasValue) {
      const key = positive ?? name, value = arg.slice(equals + 1);
      set(key, declared.booleans.has(key) ? value !== "false" : value, arg);
      return false;
    }
    if (positive !== undefined && declared.negatables.has(positive)) {
      set(positive, false, arg, false);
      return false;
    }
    const takesValue = !declared.isBoolean(name) && !declared.allBooleans &&
      !next?.startsWith("-");
    return setFromNext(name, arg, next, takesValue);
  };

  const short = (arg: string, next: string | undefined): boolean => {
    for (let at = 1; at < arg.length - 1; at++) {
      const letter = arg[at], after = arg.slice(at + 1);
      const value = after === "-"
        ? after
        : /[A-Za-z]/.test(letter) && /=./.test(after)
        ? after.slice(after.search(/=./) + 1)
        : (/[A-Za-z]/.test(letter) && /-?\d+(\.\d*)?(e-?\d+)?$/.test(after)) ||
            (after.length > 1 && /^\W/.test(after))
        ? after
        : undefined;
      set(letter, value ?? declared.bare(letter), arg);
      if (value !== undefined) return false;
    }
    const last = arg.slice(-1);
    return last !== "-" &&
      setFromNext(
        last,
        arg,
        next,
        !declared.isBoolean(last) && !/^--?[^-]/.test(next ?? ""),
      );
  };

  for (let i = 0; i < words.length; i++) {
    const arg = words[i];
    if (arg.length > 1 && arg.startsWith("-")) {
      if ((arg.startsWith("--") ? long : short)(arg, words[i + 1])) i++;
      continue;
    }
    if (options.unknown?.(arg) !== false) {
      result._.push(
        declared.strings.has("_") || !isNumber(arg) ? arg : Number(arg),
      );
    }
    if (options.stopEarly) {
      result._.push(...words.slice(i + 1));
      break;
    }
  }

  const setMissing = (key: string, value: unknown) => {
    if (new Place(key).isSet(result)) return false;
    new Place(key).set(result, value);
    return true;
  };
  for (const [key, value] of Object.entries(options.default ?? {})) {
    if (!setMissing(key, value)) continue;
    for (const name of declared.aliasesOf(key)) {
      new Place(name).set(result, value);
    }
  }
  for (const key of declared.booleans) {
    setMissing(key, declared.collects.has(key) ? [] : false);
  }
  for (const key of declared.strings) {
    if (declared.collects.has(key)) setMissing(key, []);
  }

  if (options["--"]) result["--"] = [...rest];
  else result._.push(...rest);
  return result;
}
