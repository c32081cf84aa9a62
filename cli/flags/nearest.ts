/** The word that a person meant. */

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
