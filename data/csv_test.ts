import { assert, assertEquals, assertThrows } from "@std/assert";
import { ClozeError } from "../config/cloze_error.ts";
import { CsvParser, type CsvRow, LONGEST_RECORD } from "./csv.ts";

const COMMA = { delimiter: ",", quoting: true };

function rowsOf(text: string, size = text.length, dialect = COMMA): [number, string[]][] {
  const parser = new CsvParser("a.csv", dialect);
  const rows: CsvRow[] = [];
  for (let at = 0; at < text.length; at += size) rows.push(...parser.push(text.slice(at, at + size)));
  rows.push(...parser.finish());
  return rows.map(({ line, fields }) => [line, fields]);
}

interface Case {
  delimiter: string;
  text: string;
  rows: [number, string[]][] | null;
}

Deno.test("CsvParser reads what Python's csv reads, rows and lines, however the text is cut into blocks", async () => {
  const cases: Case[] = JSON.parse(await Deno.readTextFile(new URL("../tests/golden/csv.json", import.meta.url)));
  for (const { delimiter, text, rows } of cases) {
    for (const size of [1, 2, 7, 1000]) {
      const read = () => rowsOf(text, size, { delimiter, quoting: true });
      if (rows === null) assertThrows(read, ClozeError, "is never closed");
      else assertEquals(read(), rows, JSON.stringify([delimiter, text, size]));
    }
  }
  assert(cases.length >= 400 && cases.some(({ rows }) => rows === null));
});

Deno.test("CsvParser takes quotes as text without quoting", () => {
  const dialect = { delimiter: "\t", quoting: false };
  assertEquals(rowsOf('"a\tb"\r"\n""\n', 3, dialect), [[1, ['"a', 'b"']], [2, ['"']], [3, ['""']]]);
});

Deno.test("CsvParser says where a quote was opened that is not closed, and that soon", () => {
  assertThrows(() => rowsOf('a,b\n1,"x\ny\n'), ClozeError, "a.csv: line 2 begins a field with a quote that is never");
  assertThrows(() => rowsOf('"a\nb",c\n"d\ne",x,"\n'), ClozeError, "line 4 begins a field with a quote");
  const parser = new CsvParser("a.csv", COMMA);
  const block = "x,y\n".repeat(1 << 16);
  let pushed = 0;
  assertThrows(
    () => {
      for (parser.push('a,b\n"'); pushed < 1e9; pushed += block.length) parser.push(block);
    },
    ClozeError,
    `line 2 begins a field with a quote that is not closed within ${LONGEST_RECORD} characters`,
  );
  assert(pushed <= LONGEST_RECORD);
  const long = new CsvParser("a.csv", COMMA);
  assertThrows(
    () => {
      for (let i = 0; i < 100; i++) long.push("x".repeat(1 << 20));
    },
    ClozeError,
    "line 1 begins a record of more than",
  );
});

Deno.test("CsvParser notices quotes that a writer would not leave, and quoted fields that hold rows", () => {
  const seen = (text: string) => {
    const parser = new CsvParser("a.csv", COMMA);
    parser.push(text);
    return [parser.stray, parser.spanning];
  };
  assertEquals(seen('a,b\n"x\ny","p,q"\n'), [undefined, undefined]);
  assertEquals(seen('a,b\n1,"x\ny,z"\n'), [undefined, 2]);
  assertEquals(seen('a,b\n1,2" wide\n'), [2, undefined]);
  assertEquals(seen('a,b\n1,"x" y\n'), [2, undefined]);
});
