/** Options of a command as the words that would be typed for them: parsing backwards. */

import { quoted } from "../../config/called.ts";
import type { CommandTable, Flags, Options } from "./flag.ts";

/** The words behind the command's name, in the order of the options. Parsing them gives the options again. */
export function flagWords<F extends Flags>(
  { flags }: Pick<CommandTable<F>, "flags">,
  options: Options<F>,
): string[] {
  const { positionals = [], ...values } = options;
  const named = Object.entries(values).flatMap(([name, value]) => {
    if (value === undefined) return [];
    const { value: shown, many, write = String } = flags[name];
    if (shown === "") return [`--${name}`];
    return (many ? value as unknown[] : [value]).flatMap((one) => [`--${name}`, write(one)]);
  });
  return [...named, ...positionals];
}

/** The command line that asks for the options: `cloze pretrain --data corpus/ --epochs 3`. */
export function commandText<F extends Flags>(table: CommandTable<F>, options: Options<F>): string {
  return ["cloze", table.name, ...flagWords(table, options)].map(quoted).join(" ");
}
