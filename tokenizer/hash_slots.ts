/** The slots of hash tables in typed arrays. Used by the tables of words and of pairs. */

/**
 * Pairs of a key and a number other than 0, in a table of twice as many slots. A key's first slot is its product with
 * `factor`, of which `shift` bits are left out in the new table.
 */
export function spread(old: Int32Array, shift: number, factor: number): Int32Array<ArrayBuffer> {
  const slots = new Int32Array(2 * old.length);
  const last = slots.length - 2;
  for (let i = 0; i < old.length; i += 2) {
    if (old[i + 1] === 0) continue;
    let slot = Math.imul(old[i], factor) >>> shift << 1;
    while (slots[slot + 1] !== 0) slot = (slot + 2) & last;
    slots[slot] = old[i];
    slots[slot + 1] = old[i + 1];
  }
  return slots;
}
