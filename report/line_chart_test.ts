import { assert, assertEquals } from "@std/assert";
import { lineChart } from "./line_chart.ts";

const OPTIONS = { width: 12, height: 3, format: (y: number) => y.toFixed(0) };

Deno.test("lineChart draws a falling line from the upper left to the lower right, with its ends marked", () => {
  assertEquals(lineChart([{ x: [0, 1], y: [9, 0] }], OPTIONS), ["9 +⠑⠢⣀", "  |   ⠑⠢⢄", "0 +      ⠉⠢⢄"]);
});

Deno.test("lineChart draws marks over lines, and the level where it belongs", () => {
  const chart = lineChart([{ x: [0, 1], y: [0, 0] }, { x: [1], y: [4], mark: "o" }], { ...OPTIONS, level: 2 });
  assertEquals(chart[0], "4 +        o");
  assertEquals(chart[1].startsWith("2 +"), true);
  assertEquals(chart[2], "0 +⣀⣀⣀⣀⣀⣀⣀⣀⣀");
});

Deno.test("lineChart takes one point, equal points, no points and what is no number", () => {
  assertEquals(lineChart([], OPTIONS), []);
  assertEquals(lineChart([{ x: [1], y: [NaN] }], OPTIONS), []);
  for (const curve of [{ x: [5], y: [5] }, { x: [5, 5], y: [5, 5] }, { x: [0, 1, 2], y: [1, NaN, Infinity] }]) {
    const chart = lineChart([curve], OPTIONS);
    assertEquals(chart.length, 3);
    assert(chart.every((line) => line.length <= 12), chart.join("\n"));
  }
});
