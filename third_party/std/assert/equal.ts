/** Deep equality as `@std/assert` has it, written for this project. */

// deno-lint-ignore no-explicit-any
type Bag = any;

function isObject(x: unknown): x is object {
  return typeof x === "object" && x !== null;
}

/** An object without a prototype may equal a plain one. */
function sameKind(a: object, b: object): boolean {
  const [kindOfA, kindOfB] = [a, b].map((x) => x.constructor === undefined ? Object : x.constructor);
  return kindOfA === kindOfB;
}

function enumerableKeys(x: object): PropertyKey[] {
  return Reflect.ownKeys(x).filter((key) => Object.prototype.propertyIsEnumerable.call(x, key));
}

/**
 * Whether two values are equal in everything that can be seen: types, own enumerable keys (one with the value `undefined`
 * counts), elements of sets and maps in any order. 0 equals -0, and NaN equals NaN.
 */
export function equal(a: unknown, b: unknown): boolean {
  const seen = new Map<unknown, unknown>();
  const same = (a: unknown, b: unknown): boolean => {
    if (Object.is(a, b) || (a === 0 && b === 0)) return true;
    if (!isObject(a) || !isObject(b) || !sameKind(a, b)) return false;
    if (a instanceof WeakMap || a instanceof WeakSet || a instanceof WeakRef) {
      throw new TypeError("weak collections cannot be compared");
    }
    if (seen.get(a) === b) return true; // it is being compared further up
    seen.set(a, b);
    if (a instanceof Date) return Object.is(a.getTime(), (b as Date).getTime());
    if (a instanceof RegExp || a instanceof URL) return String(a) === String(b);
    if (a instanceof Error && (a.message !== (b as Error).message || a.name !== (b as Error).name)) return false;
    if (a instanceof Set) {
      const left = new Set(b as Set<unknown>);
      return a.size === left.size && [...a].every((x) => {
        const twin = left.has(x) ? x : [...left].find((y) => same(x, y));
        return left.delete(twin);
      });
    }
    if (a instanceof Map) {
      const other = b as Map<unknown, unknown>;
      return a.size === other.size &&
        [...a].every(([key, value]) =>
          other.has(key)
            ? same(value, other.get(key))
            : [...other].some(([otherKey, otherValue]) => same(key, otherKey) && same(value, otherValue))
        );
    }
    if (ArrayBuffer.isView(a) && !(a instanceof DataView)) {
      const [x, y] = [a, b] as [Bag, Bag];
      if (x.length !== y.length) return false;
      for (let i = 0; i < x.length; i++) if (!same(x[i], y[i])) return false;
      return true;
    }
    const keys = enumerableKeys(a);
    return keys.length === enumerableKeys(b).length && (!Array.isArray(a) || a.length === (b as unknown[]).length) &&
      keys.every((key) => Object.hasOwn(b, key) && same((a as Bag)[key], (b as Bag)[key]));
  };
  return same(a, b);
}
