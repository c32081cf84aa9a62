/** The lines in which two values differ, for messages. */

const CONTEXT = 2;
/** Past this many lines a table of all pairs gets too large, and lines are compared by their place. */
const MOST = 2000;

/** A value as lines of text. */
export function show(value: unknown): string {
  return Deno.inspect(value, {
    depth: Infinity,
    sorted: true,
    trailingComma: true,
    compact: false,
    iterableLimit: 1000,
    strAbbreviateSize: Infinity,
  });
}

/** Marks each line of both texts: ` ` in both, `-` only in the first, `+` only in the second. */
function compare(a: string[], b: string[]): string[] {
  if (a.length > MOST || b.length > MOST) {
    return Array.from(
      { length: Math.max(a.length, b.length) },
      (_, i) =>
        a[i] === b[i]
          ? [`    ${a[i]}`]
          : [...(i < a.length ? [`-   ${a[i]}`] : []), ...(i < b.length ? [`+   ${b[i]}`] : [])],
    ).flat();
  }
  // longest[i][j]: lines that a from i on and b from j on have in common, in order
  const longest = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      longest[i][j] = a[i] === b[j] ? longest[i + 1][j + 1] + 1 : Math.max(longest[i + 1][j], longest[i][j + 1]);
    }
  }
  const lines = [];
  let i = 0, j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push(`    ${a[i++]}`);
      j++;
    } else if (j === b.length || (i < a.length && longest[i + 1][j] >= longest[i][j + 1])) lines.push(`-   ${a[i++]}`);
    else lines.push(`+   ${b[j++]}`);
  }
  return lines;
}

/** The lines that differ with a few around them. */
export function diff(actual: unknown, expected: unknown): string {
  const text = (value: unknown) => (typeof value === "string" ? value : show(value)).split("\n");
  const lines = compare(text(actual), text(expected));
  const near = (at: number) =>
    lines.slice(Math.max(0, at - CONTEXT), at + CONTEXT + 1).some((line) => !line.startsWith(" "));
  const kept: string[] = [];
  let gap = false;
  lines.forEach((line, at) => {
    if (near(at)) kept.push(line);
    else if (!gap) kept.push("    …");
    gap = !near(at);
  });
  return kept.join("\n");
}
