/**
 * A stand-in for `@std/assert` where JSR cannot be reached (see tools/std.ts): the assertions that cloze's tests use,
 * written for this project. Not used where JSR answers.
 */

/** What a failed assertion throws. */
export class AssertionError extends Error {
  override name = "AssertionError";
}

const show = (value: unknown) => Deno.inspect(value, { depth: 8, sorted: true, trailingComma: true, compact: false });

function raise(text: string, message?: string): never {
  throw new AssertionError(message === undefined ? text : `${text} ${message}`);
}

/** Fails unless `value` is truthy. */
export function assert(value: unknown, message = ""): asserts value {
  if (!value) throw new AssertionError(message);
}

/** Deep equality, as `assertEquals` has it. */
export function equal(a: unknown, b: unknown): boolean {
  const seen = new Map<unknown, unknown>();
  const same = (a: unknown, b: unknown): boolean => {
    if (Object.is(a, b) || (a === 0 && b === 0)) return true;
    if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
    if (a.constructor !== b.constructor) return false;
    if (seen.get(a) === b) return true;
    seen.set(a, b);
    if (a instanceof Date) return Object.is(a.getTime(), (b as Date).getTime());
    if (a instanceof RegExp || a instanceof URL) return String(a) === String(b);
    if (a instanceof Set) {
      const other = b as Set<unknown>;
      return a.size === other.size && [...a].every((x) => other.has(x) || [...other].some((y) => same(x, y)));
    }
    if (a instanceof Map) {
      const other = b as Map<unknown, unknown>;
      return a.size === other.size && [...a].every(([key, value]) => other.has(key) && same(value, other.get(key)));
    }
    const keys = (x: object) =>
      Reflect.ownKeys(x).filter((key) => (x as Record<PropertyKey, unknown>)[key] !== undefined);
    const [left, right] = [keys(a), keys(b)];
    if (left.length !== right.length) return false;
    return left.every((key) =>
      same((a as Record<PropertyKey, unknown>)[key], (b as Record<PropertyKey, unknown>)[key])
    );
  };
  return same(a, b);
}

/** Fails unless both are deeply equal; shows the lines that differ. */
export function assertEquals<T>(actual: T, expected: T, message?: string): void {
  if (equal(actual, expected)) return;
  const [a, b] = [show(actual).split("\n"), show(expected).split("\n")];
  const lines = [];
  for (let i = 0; i < Math.max(a.length, b.length) && lines.length < 40; i++) {
    if (a[i] === b[i]) continue;
    if (a[i] !== undefined) lines.push(`-   ${a[i]}`);
    if (b[i] !== undefined) lines.push(`+   ${b[i]}`);
  }
  raise(`Values are not equal. [Diff] Actual / Expected\n${lines.join("\n")}\n`, message);
}

/** Fails if both are deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, message?: string): void {
  if (equal(actual, expected)) raise(`Expected actual: ${show(actual)} not to be: ${show(expected)}.`, message);
}

/** Fails unless both are the same value. */
export function assertStrictEquals<T>(actual: unknown, expected: T, message?: string): asserts actual is T {
  if (!Object.is(actual, expected)) {
    raise(`Values are not strictly equal: ${show(actual)}, ${show(expected)}.`, message);
  }
}

/** Fails unless the numbers are within `tolerance` (by default a ten-millionth of the expected one). */
export function assertAlmostEquals(actual: number, expected: number, tolerance?: number, message?: string): void {
  if (Object.is(actual, expected)) return;
  const most = tolerance ?? (Number.isFinite(expected) ? Math.abs(expected * 1e-7) : 1e-7);
  if (!(Math.abs(expected - actual) <= most)) {
    raise(
      `Expected actual: ${actual} to be close to ${expected}: delta ${Math.abs(expected - actual)} > ${most}.`,
      message,
    );
  }
}

/** Fails if the value is null or undefined. */
export function assertExists<T>(actual: T, message?: string): asserts actual is NonNullable<T> {
  if (actual === undefined || actual === null) {
    raise(`Expected actual: "${actual}" to not be null or undefined.`, message);
  }
}

/** Fails unless the text contains `expected`. */
export function assertStringIncludes(actual: string, expected: string, message?: string): void {
  if (!actual.includes(expected)) raise(`Expected actual: "${actual}" to contain: "${expected}".`, message);
}

/** Fails unless the text matches. */
export function assertMatch(actual: string, expected: RegExp, message?: string): void {
  if (!expected.test(actual)) raise(`Expected actual: "${actual}" to match: "${expected}".`, message);
}

/** Fails unless `actual` > `expected`. */
export function assertGreater<T>(actual: T, expected: T, message?: string): void {
  if (!(actual > expected)) raise(`Expect ${actual} > ${expected}`, message);
}

/** Fails unless `actual` < `expected`. */
export function assertLess<T>(actual: T, expected: T, message?: string): void {
  if (!(actual < expected)) raise(`Expect ${actual} < ${expected}`, message);
}

// deno-lint-ignore no-explicit-any
type ErrorClass = abstract new (...args: any[]) => Error;

/** Fails unless the value is an instance of the class. */
// deno-lint-ignore no-explicit-any
export function assertInstanceOf<T extends abstract new (...args: any[]) => any>(
  actual: unknown,
  expected: T,
  message?: string,
): asserts actual is InstanceType<T> {
  if (!(actual instanceof expected)) {
    raise(`Expected object to be an instance of "${expected.name}": ${show(actual)}`, message);
  }
}

function checkThrown(error: unknown, kind?: ErrorClass, includes?: string, message?: string): void {
  if (kind !== undefined && !(error instanceof kind)) {
    raise(`Expected error to be instance of "${kind.name}", but was ${show(error)}.`, message);
  }
  if (includes !== undefined && !(error instanceof Error && error.message.includes(includes))) {
    raise(`Expected error message to include ${JSON.stringify(includes)}, but got ${show(error)}.`, message);
  }
}

/** Fails unless `fn` throws; returns what it throws. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  // deno-lint-ignore no-explicit-any
  kind?: abstract new (...args: any[]) => E,
  includes?: string,
  message?: string,
): E {
  try {
    fn();
  } catch (error) {
    checkThrown(error, kind, includes, message);
    return error as E;
  }
  raise("Expected function to throw.", message);
}

/** Fails unless the promise rejects; resolves to what it rejects with. */
export async function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  // deno-lint-ignore no-explicit-any
  kind?: abstract new (...args: any[]) => E,
  includes?: string,
  message?: string,
): Promise<E> {
  try {
    await fn();
  } catch (error) {
    checkThrown(error, kind, includes, message);
    return error as E;
  }
  raise("Expected function to reject.", message);
}
