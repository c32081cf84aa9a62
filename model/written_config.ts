/** The text of a `config.json`, as transformers reads it. */

/** Fields whose classes take a float and no whole number, which JSON of JavaScript would make of `2.0`. */
const FLOATS = /"(initializer_cutoff_factor|initializer_range|layer_norm_eps|norm_eps)": (\d+)(?=[,\n])/g;

/** The text of these fields. */
export function writtenConfig(json: Record<string, unknown>): string {
  return JSON.stringify(json, null, 2).replaceAll(FLOATS, `"$1": $2.0`) + "\n";
}
