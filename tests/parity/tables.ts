/**
 * Compares cloze's rows with those in the file that tables.py made.
 * usage: deno run -A tests/parity/tables.ts cases.jsonl
 */

import { CsvParser, type CsvRow } from "../../data/csv.ts";

interface Case {
  delimiter: string;
  text: string;
  rows: [line: number, fields: string[]][] | null;
}

/** Cuts a text at places that depend on its number alone. */
function* blocks(text: string, number: number): Generator<string> {
  for (let at = 0, k = number; at < text.length; k = Math.imul(k + 1, 2654435761) >>> 0) {
    const size = 1 + k % 7 * (number % 3 + 1);
    yield text.slice(at, at + size);
    at += size;
  }
}

function rowsOf({ delimiter, text }: Case, number: number): Case["rows"] {
  const parser = new CsvParser("text", { delimiter, quoting: true });
  const rows: CsvRow[] = [];
  for (const block of blocks(text, number)) rows.push(...parser.push(block));
  try {
    rows.push(...parser.finish());
  } catch {
    return null;
  }
  return rows.map(({ line, fields }) => [line, fields]);
}

let number = 0, different = 0;
for (const line of (await Deno.readTextFile(Deno.args[0])).trim().split("\n")) {
  const test: Case = JSON.parse(line);
  const found = rowsOf(test, number++);
  if (JSON.stringify(found) === JSON.stringify(test.rows)) continue;
  if (different++ < 5) console.log(`${JSON.stringify(test)}\n  here ${JSON.stringify(found)}`);
}
console.log(`cloze: ${number} texts, ${different} different from Python's csv`);
Deno.exit(different === 0 ? 0 : 1);
