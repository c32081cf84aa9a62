/** The text of `--help`, made from a command's table. It fits a terminal of 80 columns. */

import { folded, widthOf } from "../terminal.ts";
import { type CommandTable, HELP } from "./flag.ts";

const COLUMNS = 80;
/** Where the text of a flag, and of a command in the overview, begins. */
const INDENT = 26;

/**
 * The text.
 *
 * @param called what stands before a command's name where it is typed.
 */
export function helpText(table: CommandTable, called = "cloze"): string {
  const rows = Object.entries({ ...table.flags, help: HELP }).map(([name, flag]) => {
    const left = `--${name}${flag.value === "" ? "" : ` ${flag.value}`}`;
    return row(left, flag.help + (flag.fallback === undefined ? "" : ` Default: ${flag.fallback}.`));
  });
  const lines = [
    ...folded(`${called} ${table.name} ${table.usage}`.trimEnd(), COLUMNS, "  "),
    "",
    ...folded(table.summary, COLUMNS),
    ...(table.details === "" ? [] : ["", ...folded(table.details, COLUMNS)]),
    "",
    "Flags:",
    ...rows.flat(),
    "",
    "Examples:",
    ...table.examples.flatMap((example) => {
      const typed = example.replace(/(^|[|] )cloze /g, `$1${called} `);
      return foldedCommand(typed, COLUMNS - 2).map((line) => `  ${line}`);
    }),
  ];
  return lines.join("\n") + "\n";
}

/** Every command with its summary. */
export function overviewText(tables: readonly CommandTable[], called: string, title: string): string {
  return [
    ...folded(`${title} trains masked language models on your own text and fills the blanks in new text.`, COLUMNS),
    "",
    "Commands:",
    ...tables.flatMap(({ name, summary }) => row(name, summary, 20)),
    "",
    ...folded(`${called} help COMMAND tells more, ${called} version the version.`, COLUMNS),
    "",
  ].join("\n");
}

/** Two columns; what is too long for the left one gets a line of its own. */
function row(left: string, right: string, indent = INDENT): string[] {
  const lines = folded(right, COLUMNS - indent).map((line) => " ".repeat(indent) + line);
  if (left.length + 4 > indent) return [...alternatives(`  ${left}`), ...lines];
  return [`  ${left.padEnd(indent - 2)}${lines[0].trimStart()}`, ...lines.slice(1)];
}

/** Breaks what is too long behind a bar between words to choose from. */
function alternatives(text: string): string[] {
  if (widthOf(text) <= COLUMNS) return [text];
  const end = text.lastIndexOf("|", COLUMNS - 1) + 1;
  return end === 0 ? [text] : [text.slice(0, end), ...alternatives(`    ${text.slice(end)}`)];
}

/** Breaks a command as a shell reads it on, with a backslash at the end of a line; a flag and its value stay together. */
export function foldedCommand(command: string, columns: number): string[] {
  if (widthOf(command) <= columns) return [command];
  const words = command.match(/(?:--?[a-z-]+ (?!-|[|] ))?(?:'[^']*'|"[^"]*"|[^\s'"])+/g) ?? [];
  const lines: string[] = [];
  let line = "";
  words.forEach((word, i) => {
    const needed = widthOf(word) + (i < words.length - 1 ? 3 : 1);
    if (line !== "" && widthOf(line) + needed > columns) {
      lines.push(`${line} \\`);
      line = `  ${word}`;
    } else line = line === "" ? word : `${line} ${word}`;
  });
  return [...lines, line];
}
