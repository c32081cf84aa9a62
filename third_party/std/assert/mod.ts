/**
 * A stand-in for `@std/assert` where JSR cannot be reached (see tools/std.ts): the usual assertions with the same names,
 * arguments and verdicts, written for this project. Not used where JSR answers.
 */

import { diff, show } from "./diff.ts";
import { equal } from "./equal.ts";

export { equal };

/** What a failed assertion throws. */
export class AssertionError extends Error {
  override name = "AssertionError";
}

// deno-lint-ignore no-explicit-any
type Class<T = any> = abstract new (...args: any[]) => T;

function raise(text: string, message?: string): never {
  throw new AssertionError(message === undefined ? text : `${text}: ${message}`);
}

/** Fails unless `value` is truthy. */
export function assert(value: unknown, message = ""): asserts value {
  if (!value) throw new AssertionError(message);
}

/** Fails if `value` is truthy. */
export function assertFalse(value: unknown, message = ""): void {
  if (value) throw new AssertionError(message);
}

/** Fails always. */
export function fail(message?: string): never {
  raise("Failed assertion", message);
}

/** For places that cannot be reached. */
export function unreachable(reason?: string): never {
  raise("Unreachable", reason);
}

/** For what does not exist yet. */
export function unimplemented(reason?: string): never {
  raise("Unimplemented", reason);
}

/** Fails unless both are deeply equal; shows the lines that differ. */
export function assertEquals<T>(actual: T, expected: T, message?: string): void {
  if (equal(actual, expected)) return;
  raise(`Values are not equal\n\n    [Diff] - actual / + expected\n\n${diff(actual, expected)}\n`, message);
}

/** Fails if both are deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, message?: string): void {
  if (equal(actual, expected)) raise(`Expected a value that does not equal ${show(expected)}`, message);
}

/** Fails unless both are the same value. */
export function assertStrictEquals<T>(actual: unknown, expected: T, message?: string): asserts actual is T {
  if (Object.is(actual, expected)) return;
  const alike = equal(actual, expected) ? "Values are equal but not the same" : "Values are not the same";
  raise(`${alike}\n\n    [Diff] - actual / + expected\n\n${diff(actual, expected)}\n`, message);
}

/** Fails if both are the same value. */
export function assertNotStrictEquals<T>(actual: T, expected: T, message?: string): void {
  if (Object.is(actual, expected)) raise(`Expected a value that is not ${show(expected)}`, message);
}

/** Fails unless the numbers are within `tolerance`, by default a ten-millionth of the expected one. */
export function assertAlmostEquals(actual: number, expected: number, tolerance?: number, message?: string): void {
  if (Object.is(actual, expected)) return;
  const most = tolerance ?? (Number.isFinite(expected) ? Math.abs(expected * 1e-7) : 1e-7);
  const delta = Math.abs(expected - actual);
  if (!(delta <= most)) raise(`Expected ${actual} to be ${expected} within ${most}, but it is ${delta} away`, message);
}

/** Fails if the value is null or undefined. */
export function assertExists<T>(actual: T, message?: string): asserts actual is NonNullable<T> {
  if (actual === undefined || actual === null) raise(`Expected a value, found ${actual}`, message);
}

/** Fails unless the text contains `expected`. */
export function assertStringIncludes(actual: string, expected: string, message?: string): void {
  if (!actual.includes(expected)) raise(`Expected ${show(actual)} to contain ${show(expected)}`, message);
}

/** Fails unless the text matches. */
export function assertMatch(actual: string, expected: RegExp, message?: string): void {
  if (!expected.test(actual)) raise(`Expected ${show(actual)} to match ${expected}`, message);
}

/** Fails if the text matches. */
export function assertNotMatch(actual: string, expected: RegExp, message?: string): void {
  if (expected.test(actual)) raise(`Expected ${show(actual)} not to match ${expected}`, message);
}

/** Fails unless each of `expected` equals an element of `actual`. */
export function assertArrayIncludes<T>(actual: ArrayLike<T>, expected: ArrayLike<T>, message?: string): void {
  const missing = Array.from(expected).filter((x) => !Array.from(actual).some((y) => equal(x, y)));
  if (missing.length > 0) raise(`Expected ${show(actual)} to include ${show(missing)}`, message);
}

/** The part of `actual` that has the shape of `expected`. */
function shapedLike(actual: unknown, expected: unknown): unknown {
  if (typeof expected !== "object" || expected === null || typeof actual !== "object" || actual === null) return actual;
  if (expected instanceof RegExp && typeof actual === "string") return actual;
  if (Array.isArray(expected)) {
    return Array.isArray(actual) ? actual.map((x, i) => i < expected.length ? shapedLike(x, expected[i]) : x) : actual;
  }
  if (Object.getPrototypeOf(expected) !== Object.prototype) return actual;
  const part: Record<PropertyKey, unknown> = {};
  for (const key of Reflect.ownKeys(expected)) {
    if (key in actual) {
      part[key] = shapedLike((actual as typeof part)[key], (expected as typeof part)[key]);
    }
  }
  return part;
}

/** Fails unless what `expected` names is deeply equal in `actual`. */
export function assertObjectMatch(
  // deno-lint-ignore no-explicit-any
  actual: Record<PropertyKey, any>,
  expected: Record<PropertyKey, unknown>,
  message?: string,
): void {
  assertEquals(shapedLike(actual, expected), expected, message);
}

/** Fails unless `actual` > `expected`. */
export function assertGreater<T>(actual: T, expected: T, message?: string): void {
  if (!(actual > expected)) raise(`Expected ${show(actual)} > ${show(expected)}`, message);
}

/** Fails unless `actual` >= `expected`. */
export function assertGreaterOrEqual<T>(actual: T, expected: T, message?: string): void {
  if (!(actual >= expected)) raise(`Expected ${show(actual)} >= ${show(expected)}`, message);
}

/** Fails unless `actual` < `expected`. */
export function assertLess<T>(actual: T, expected: T, message?: string): void {
  if (!(actual < expected)) raise(`Expected ${show(actual)} < ${show(expected)}`, message);
}

/** Fails unless `actual` <= `expected`. */
export function assertLessOrEqual<T>(actual: T, expected: T, message?: string): void {
  if (!(actual <= expected)) raise(`Expected ${show(actual)} <= ${show(expected)}`, message);
}

/** Fails unless the value is an instance of the class. */
export function assertInstanceOf<T extends Class>(
  actual: unknown,
  expected: T,
  message?: string,
): asserts actual is InstanceType<T> {
  if (!(actual instanceof expected)) raise(`Expected an instance of ${expected.name}, found ${show(actual)}`, message);
}

/** Fails if the value is an instance of the class. */
export function assertNotInstanceOf(actual: unknown, unexpected: Class, message?: string): void {
  if (actual instanceof unexpected) raise(`Expected no instance of ${unexpected.name}, found ${show(actual)}`, message);
}

/** Fails unless the value is an error of the class with the text, or a match for it, in its message. */
export function assertIsError<E extends Error = Error>(
  error: unknown,
  kind?: Class<E>,
  includes?: string | RegExp,
  message?: string,
): asserts error is E {
  if (!(error instanceof Error)) raise(`Expected an error, found ${show(error)}`, message);
  if (kind !== undefined && !(error instanceof kind)) raise(`Expected ${kind.name}, found ${show(error)}`, message);
  const found = includes === undefined ||
    (typeof includes === "string" ? error.message.includes(includes) : includes.test(error.message));
  if (!found) raise(`Expected a message with ${show(includes)}, found ${show(error.message)}`, message);
}

function isText(x: unknown): x is string | undefined {
  return x === undefined || typeof x === "string";
}

/** Fails unless `fn` throws. */
export function assertThrows(fn: () => unknown, message?: string): unknown;
/** Fails unless `fn` throws an error of the class with the text in its message; returns the error. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  kind: Class<E>,
  includes?: string,
  message?: string,
): E;
export function assertThrows(
  fn: () => unknown,
  kind?: Class<Error> | string,
  includes?: string,
  message?: string,
): unknown {
  try {
    fn();
  } catch (error) {
    if (!isText(kind)) assertIsError(error, kind, includes, message);
    return error;
  }
  raise("Expected function to throw", isText(kind) ? kind : message);
}

/** Fails unless the promise rejects. */
export function assertRejects(fn: () => PromiseLike<unknown>, message?: string): Promise<unknown>;
/** Fails unless the promise rejects with an error of the class with the text in its message; resolves to the error. */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  kind: Class<E>,
  includes?: string,
  message?: string,
): Promise<E>;
export async function assertRejects(
  fn: () => PromiseLike<unknown>,
  kind?: Class<Error> | string,
  includes?: string,
  message?: string,
): Promise<unknown> {
  const note = isText(kind) ? kind : message;
  let promise: PromiseLike<unknown>;
  try {
    promise = fn();
  } catch (error) {
    return raise(`Expected function to reject, but it threw ${show(error)}`, note);
  }
  if (typeof promise?.then !== "function") raise("Expected function to return a promise", note);
  try {
    await promise;
  } catch (error) {
    if (!isText(kind)) assertIsError(error, kind, includes, message);
    return error;
  }
  raise("Expected function to reject", note);
}
