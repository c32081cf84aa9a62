/** Flags that would be passed over in silence, refused by name. Used by the commands that do one of several things. */

import { ClozeError } from "../../config/cloze_error.ts";

/**
 * Refuses flags that do nothing where they are.
 *
 * @param why as in "--json …".
 * @throws {ClozeError} `usage` naming the first of them that is given.
 */
export function refuseFlags<V extends object>(values: V, names: readonly (keyof V & string)[], why: string): void {
  const given = names.find((name) => values[name] !== undefined);
  if (given !== undefined) throw new ClozeError("usage", `--${given} ${why}`, { hint: "leave it out" });
}
