/** Completions of zsh, by its own `_arguments`. */

import type { CommandTable } from "../../flags/flag.ts";
import { firstSentence, flagsOf, takesFiles, valueOf } from "./completable.ts";

/** The script: a function file for `fpath`. */
export function zsh(tables: readonly CommandTable[]): string {
  const commands = tables.map(({ name, summary }) => `    ${quoted(`${name}:${escaped(firstSentence(summary))}`)}`);
  const cases = tables.map((table) => {
    const specs = flagsOf(table).map(([name, flag]) => {
      const value = valueOf(flag);
      const action = {
        none: "",
        words: `:value:(${value.kind === "words" ? value.words.join(" ") : ""})`,
        folder: ":folder:_files -/",
        file: ":file:_files",
        other: `:${escaped(flag.value)}: `,
      }[value.kind];
      return quoted(`${flag.many === true ? "*" : ""}--${name}[${escaped(firstSentence(flag.help))}]${action}`);
    });
    const others = table.name === "completions"
      ? ["'1:shell:(bash zsh fish)'"]
      : takesFiles(table)
      ? ["'*:file:_files'"]
      : [];
    return `      ${table.name})\n        _arguments ${[...specs, ...others].join(" \\\n          ")} ;;`;
  });
  return `#compdef cloze
# zsh completions of cloze
_cloze() {
  local -a commands
  commands=(
${commands.join("\n")}
    'help:What a command does'
  )
  local context state line
  _arguments -C '(- *)--help[Show the commands]' '(- *)--version[Show the version]' '1:command:->command' '*::argument:->argument'
  case $state in
    command) _describe command commands ;;
    argument)
      case $line[1] in
${cases.join("\n")}
      help) _describe command commands ;;
      esac ;;
  esac
}
if [[ \${funcstack[1]} == _cloze ]]; then _cloze "$@"; else compdef _cloze cloze; fi
`;
}

/** In the brackets and parts of a specification. */
function escaped(text: string): string {
  return text.replace(/[\[\]\\:]/g, "\\$&");
}

/** A word of the shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
