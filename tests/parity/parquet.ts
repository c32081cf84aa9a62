/**
 * Compares the values that cloze reads from Parquet files with those that parquet.py put into them.
 * usage: deno run -A tests/parity/parquet.ts tests.json
 */

import { CORPUS_DEFAULTS } from "../../config/batch_config.ts";
import { CorpusReport } from "../../data/corpus_report.ts";
import { readRecords } from "../../data/records.ts";

const tests: { path: string; expected: Record<string, unknown[]> }[] = JSON.parse(
  // Numbers of 64 bits are compared as text.
  (await Deno.readTextFile(Deno.args[0])).replace(/(?<=[\[ ])-?\d{15,}(?=[,\]])/g, '"$&"'),
);

/** A list without its nulls, which are no lines of a text; a number of 64 bits as text if it is long. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") return value > -1e14 && value < 1e14 ? Number(value) : String(value);
  if (Array.isArray(value)) return value.filter((item) => item !== null);
  return value;
}

let columns = 0, different = 0;
for (const { path, expected } of tests) {
  for (const [name, values] of Object.entries(expected)) {
    const options = { config: CORPUS_DEFAULTS, report: new CorpusReport(), columns: () => [name], hint: "" };
    const found: unknown[] = [];
    for await (const block of readRecords({ file: path, format: "parquet", from: 0, to: Infinity }, options)) {
      for (const record of block) found.push(plain(record.values[0]));
    }
    columns++;
    const isList = name === "list" || name.startsWith("turns");
    const wanted = values.map((value) => isList ? plain(value ?? []) : plain(value));
    const at = wanted.findIndex((value, i) => JSON.stringify(value) !== JSON.stringify(found[i]));
    if (found.length === wanted.length && at < 0) continue;
    if (different++ < 10) {
      const [here, there] = [found[at], wanted[at]].map((value) => JSON.stringify(value));
      console.log(
        `${path.replace(/.*\//, "")} ${name}: ${found.length} of ${wanted.length} rows, ${at}: ${here} ${there}`,
      );
    }
  }
}
console.log(`${tests.length} files, ${columns} columns, ${different} different from pyarrow's`);
Deno.exit(different === 0 ? 0 : 1);
