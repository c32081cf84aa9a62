/** The text of `--help`, made from a command's table. */

import { type CommandTable, HELP } from "./flag.ts";

/**
 * The text.
 *
 * @param called what stands before a command's name where it is typed.
 */
export function helpText(table: CommandTable, called = "cloze"): string {
  const rows = Object.entries({ ...table.flags, help: HELP }).map(([name, flag]) => {
    const left = `--${name}${flag.value === "" ? "" : ` ${flag.value}`}`;
    return [left, flag.help + (flag.fallback === undefined ? "" : ` Default: ${flag.fallback}.`)] as const;
  });
  const lines = [
    `${called} ${table.name} ${table.usage}`.trimEnd(),
    "",
    ...wrap(table.summary, 96, ""),
    ...(table.details === "" ? [] : ["", ...wrap(table.details, 96, "")]),
    "",
    "Flags:",
    ...rows.flatMap(([left, help]) => {
      const [first, ...rest] = wrap(help, 68, "");
      const padded = `  ${left.padEnd(26)}`;
      const head = left.length >= 26 ? [`  ${left}`, `${" ".repeat(28)}${first}`] : [`${padded}${first}`];
      return [...head, ...rest.map((line) => " ".repeat(28) + line)];
    }),
    "",
    "Examples:",
    ...table.examples.map((example) => `  ${example.replace(/(^|[|] )cloze /g, `$1${called} `)}`),
  ];
  return lines.join("\n") + "\n";
}

function wrap(text: string, width: number, indent: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(indent + line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, indent + line];
}
