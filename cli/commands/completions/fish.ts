/** Completions of fish. */

import type { CommandTable } from "../../flags/flag.ts";
import { firstSentence, flagsOf, takesFiles, valueOf } from "./completable.ts";

/** The script. */
export function fish(tables: readonly CommandTable[]): string {
  const lines = tables.flatMap((table) => {
    const inside = `-n '__fish_seen_subcommand_from ${table.name}'`;
    const flags = flagsOf(table).map(([name, flag]) => {
      const value = valueOf(flag);
      const takes = {
        none: "",
        words: ` -x -a '${value.kind === "words" ? value.words.join(" ") : ""}'`,
        folder: " -x -a '(__fish_complete_directories)'",
        file: " -r -F",
        other: " -x",
      }[value.kind];
      return `complete -c cloze ${inside} -l ${name}${takes} -d ${quoted(firstSentence(flag.help))}`;
    });
    return [
      `complete -c cloze -n __fish_use_subcommand -a ${table.name} -d ${quoted(firstSentence(table.summary))}`,
      ...(takesFiles(table) ? [`complete -c cloze ${inside} -F`] : []),
      ...flags,
    ];
  });
  return [
    "# fish completions of cloze",
    "complete -c cloze -f",
    "complete -c cloze -n __fish_use_subcommand -l help -d 'Show the commands'",
    "complete -c cloze -n __fish_use_subcommand -l version -d 'Show the version'",
    ...lines,
    "complete -c cloze -n '__fish_seen_subcommand_from completions' -a 'bash zsh fish'",
    "",
  ].join("\n");
}

/** A word of the shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
