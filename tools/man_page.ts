/** The flag tables → a man page, `cloze.1`. Used by `install.ts`. */

import type { CommandTable } from "../cli/flags/flag.ts";

/** The page in the language of troff (man(7)). */
export function manPage(tables: readonly CommandTable[], version: string): string {
  return [
    `.TH CLOZE 1 "" "cloze ${version}" "User Commands"`,
    ".ad l",
    ".SH NAME",
    "cloze \\- train masked language models on your own text and fill the blanks in new text",
    ".SH SYNOPSIS",
    ".B cloze",
    "COMMAND [FLAG...]",
    ".br",
    ".B cloze help",
    "[COMMAND]",
    ".SH COMMANDS",
    ...tables.flatMap(commandOf),
    ".SH EXIT STATUS",
    ...[["0", "done"], ["1", "failed"], ["2", "wrong usage"], ["130", "stopped by Ctrl-C; the same command goes on"]]
      .flatMap(([code, meaning]) => [".TP", `.B ${code}`, plain(meaning)]),
    "",
  ].join("\n");
}

function commandOf({ name, usage, summary, details, flags, examples }: CommandTable): string[] {
  return [
    `.SS ${plain(`cloze ${name} ${usage}`.trimEnd())}`,
    plain(summary),
    ...(details === "" ? [] : [".PP", plain(details)]),
    ...Object.entries(flags).flatMap(([flag, { value, help, fallback }]) => [
      ".TP",
      `\\fB${plain(`--${flag}`)}\\fR${value === "" ? "" : ` \\fI${plain(value)}\\fR`}`,
      plain(help + (fallback === undefined ? "" : ` Default: ${fallback}.`)),
    ]),
    ".PP",
    "Examples:",
    ".PP",
    ".nf",
    ...examples.map((example) => `    ${plain(example)}`),
    ".fi",
  ];
}

/** Text that troff prints as it is: none of it is a request, an escape or a hyphen that could break. */
function plain(text: string): string {
  const escaped = text.replaceAll("\\", "\\e").replaceAll("-", "\\-").replaceAll("'", "\\(aq");
  return /^[.']/.test(escaped) ? `\\&${escaped}` : escaped;
}
