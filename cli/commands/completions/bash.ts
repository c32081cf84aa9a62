/** Completions of bash, 4 and newer; nothing but bash is needed. */

import type { CommandTable } from "../../flags/flag.ts";
import { flagsOf, takesFiles, valueOf } from "./completable.ts";

/** The script. */
export function bash(tables: readonly CommandTable[]): string {
  const values = tables.flatMap((table) =>
    flagsOf(table).flatMap(([name, flag]) => {
      const value = valueOf(flag);
      const action = {
        none: undefined,
        words: `_cloze_words "${value.kind === "words" ? value.words.join(" ") : ""}"`,
        folder: "_cloze_paths -d",
        file: "_cloze_paths -f",
        other: ":",
      }[value.kind];
      return action === undefined ? [] : [`    "${table.name} --${name}") ${action}; return ;;`];
    })
  );
  const flags = tables.map((table) =>
    `    ${table.name}) flags="${flagsOf(table).map(([name]) => `--${name}`).join(" ")}"` +
    `${takesFiles(table) ? " files=yes" : ""} ;;`
  );
  return `# bash completions of cloze
_cloze_words() { COMPREPLY=($(compgen -W "$1" -- "$cur")); }
_cloze_paths() {
  local IFS=$'\\n'
  compopt -o filenames 2>/dev/null
  COMPREPLY=($(compgen "$1" -- "$cur"))
}
_cloze() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" previous="" command="" flags="" files="" i
  ((COMP_CWORD > 0)) && previous="\${COMP_WORDS[COMP_CWORD - 1]}"
  # bash takes --flag=value for three words
  if [[ $cur == "=" ]]; then cur=""; elif [[ $previous == "=" ]]; then previous="\${COMP_WORDS[COMP_CWORD - 2]}"; fi
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ \${COMP_WORDS[i]} != -* ]]; then command="\${COMP_WORDS[i]}"; break; fi
  done
  if [[ $command == "" || $command == "help" ]]; then
    _cloze_words "${tables.map(({ name }) => name).join(" ")} help --help --version"
    return
  fi
  case "$command $previous" in
${values.join("\n")}
  esac
  case "$command" in
${flags.join("\n")}
  esac
  if [[ $cur == -* ]]; then _cloze_words "$flags"
  elif [[ $command == completions ]]; then _cloze_words "bash zsh fish"
  elif [[ $files ]]; then _cloze_paths -f; fi
}
complete -F _cloze cloze
`;
}
