import * as assert from "@std/assert";

// Runs against whichever @std/assert is resolved: the real one where JSR answers, the stand-in elsewhere.

/** Whether the assertion fails, which it has to do with an AssertionError. */
function fails(fn: () => unknown): boolean {
  try {
    fn();
    return false;
  } catch (error) {
    if (error instanceof assert.AssertionError) return true;
    throw error;
  }
}

function expect(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

Deno.test("equal compares everything that can be seen", () => {
  const loop = () => {
    const x: { self?: unknown } = {};
    return Object.assign(x, { self: x });
  };
  const pairs: [boolean, unknown, unknown][] = [
    [true, 0, -0],
    [true, NaN, NaN],
    [false, 1, "1"],
    [false, null, undefined],
    [true, { a: [1, { b: 2 }] }, { a: [1, { b: 2 }] }],
    [false, { a: undefined }, {}],
    [false, {}, { a: undefined }],
    [false, { a: undefined, b: 1 }, { b: 1, c: undefined }],
    [false, [1, 2], [2, 1]],
    [false, [1], { 0: 1 }],
    [true, new Float32Array([1, NaN]), new Float32Array([1, NaN])],
    [false, new Float32Array([1]), new Float64Array([1])],
    [false, new Uint8Array([1, 2]), new Uint8Array([1, 3])],
    [true, new Set([{ a: 1 }, 2]), new Set([2, { a: 1 }])],
    [false, new Set([1, 2]), new Set([1, 3])],
    [true, new Map([["a", [1]], ["b", [2]]]), new Map([["b", [2]], ["a", [1]]])],
    [false, new Map([["a", 1]]), new Map([["a", 2]])],
    [true, new Date(5), new Date(5)],
    [false, new Date(5), new Date(6)],
    [true, /a/g, /a/g],
    [false, /a/g, /a/i],
    [true, Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
    [false, new (class A {})(), new (class B {})()],
    [true, loop(), loop()],
  ];
  for (const [expected, a, b] of pairs) {
    expect(assert.equal(a, b) === expected, `${Deno.inspect(a)} and ${Deno.inspect(b)}`);
    expect(assert.equal(b, a) === expected, `${Deno.inspect(b)} and ${Deno.inspect(a)}`);
    expect(fails(() => assert.assertEquals(a, b)) !== expected, "assertEquals agrees");
    expect(fails(() => assert.assertNotEquals(a, b)) === expected, "assertNotEquals agrees");
  }
});

Deno.test("assertEquals shows the lines that differ", () => {
  const long = Array.from({ length: 50 }, (_, i) => i);
  try {
    assert.assertEquals([...long.slice(0, 20), 777, ...long.slice(20)], long, "a note");
  } catch (error) {
    const { message } = error as Error;
    const lines = message.split("\n").map((line) => line.trim());
    expect(lines.filter((line) => /^-\s+777,/.test(line)).length === 1, message);
    expect(lines.filter((line) => /^[-+]\s+\d/.test(line)).length === 1, message);
    expect(message.includes("a note"), message);
    return;
  }
  throw new Error("assertEquals did not throw");
});

Deno.test("each assertion holds where it should and fails where it should", () => {
  const good: (() => unknown)[] = [
    () => assert.assert(1),
    () => assert.assertFalse(0),
    () => assert.assertStrictEquals(NaN, NaN),
    () => assert.assertNotStrictEquals([], []),
    () => assert.assertAlmostEquals(1, 1 + 1e-8),
    () => assert.assertAlmostEquals(1, 1.1, 0.2),
    () => assert.assertExists(0),
    () => assert.assertStringIncludes("abc", "bc"),
    () => assert.assertMatch("abc", /b/),
    () => assert.assertNotMatch("abc", /x/),
    () => assert.assertArrayIncludes([{ a: 1 }, 2], [{ a: 1 }]),
    () => assert.assertObjectMatch({ a: { b: 1, c: 2 }, d: [1] }, { a: { b: 1 }, d: [1] }),
    () => assert.assertGreater(2, 1),
    () => assert.assertGreaterOrEqual(2, 2),
    () => assert.assertLess(1, 2),
    () => assert.assertLessOrEqual(2, 2),
    () => assert.assertInstanceOf(new TypeError(), Error),
    () => assert.assertNotInstanceOf(new Error(), TypeError),
    () => assert.assertIsError(new TypeError("abc"), TypeError, "bc"),
  ];
  const bad: (() => unknown)[] = [
    () => assert.assert(""),
    () => assert.assertFalse("x"),
    () => assert.assertStrictEquals(0, -0),
    () => assert.assertStrictEquals<unknown>([], []),
    () => assert.assertNotStrictEquals(1, 1),
    () => assert.assertAlmostEquals(1, 1.001),
    () => assert.assertAlmostEquals(NaN, 1),
    () => assert.assertExists(null),
    () => assert.assertStringIncludes("abc", "x"),
    () => assert.assertMatch("abc", /x/),
    () => assert.assertNotMatch("abc", /b/),
    () => assert.assertArrayIncludes([1], [2]),
    () => assert.assertObjectMatch({ a: { b: 1 } }, { a: { b: 2 } }),
    () => assert.assertObjectMatch({ a: 1 }, { b: 1 }),
    () => assert.assertGreater(1, 1),
    () => assert.assertGreaterOrEqual(1, 2),
    () => assert.assertLess(NaN, 1),
    () => assert.assertLessOrEqual(2, 1),
    () => assert.assertInstanceOf({}, Error),
    () => assert.assertNotInstanceOf(new TypeError(), Error),
    () => assert.assertIsError("abc"),
    () => assert.assertIsError(new Error("abc"), TypeError),
    () => assert.assertIsError(new Error("abc"), Error, "x"),
    () => assert.fail(),
    () => assert.unreachable(),
    () => assert.unimplemented(),
  ];
  for (const fn of good) expect(!fails(fn), String(fn));
  for (const fn of bad) expect(fails(fn), String(fn));
});

Deno.test("assertThrows returns what is thrown, and fails without it or with another error", () => {
  const thrown = new RangeError("too far");
  const raise = () => {
    throw thrown;
  };
  expect(assert.assertThrows(raise) === thrown, "without a class");
  expect(assert.assertThrows(raise, RangeError, "far") === thrown, "with a class and a text");
  expect(fails(() => assert.assertThrows(() => 1)), "nothing thrown");
  expect(fails(() => assert.assertThrows(raise, TypeError)), "another class");
  expect(fails(() => assert.assertThrows(raise, RangeError, "near")), "another text");
});

Deno.test("assertRejects resolves to what is rejected, and fails without it or with another error", async () => {
  const error = new RangeError("too far");
  const reject = () => Promise.reject(error);
  expect(await assert.assertRejects(reject) === error, "without a class");
  expect(await assert.assertRejects(reject, RangeError, "far") === error, "with a class and a text");
  const wrong: (() => Promise<unknown>)[] = [
    () => assert.assertRejects(() => Promise.resolve(1)),
    () => assert.assertRejects(reject, TypeError),
    () => assert.assertRejects(reject, RangeError, "near"),
    () =>
      assert.assertRejects(() => {
        throw error;
      }),
  ];
  for (const fn of wrong) {
    const failed = await fn().then(() => false, (error) => error instanceof assert.AssertionError);
    expect(failed, String(fn));
  }
});
