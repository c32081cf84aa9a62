/** Whether a folder holds a model, a tokenizer or tokenized text, which is not to be taken for a corpus. */

/** Files that only such folders have. */
const MARKERS = /^(tokenizer\.json|model\.safetensors|pytorch_model\.bin|.*\.shard)$/;

/** Of a vocabulary, as much as has its special tokens, which stand at its beginning. */
const BEGINNING = 1 << 16;

/**
 * The file that says so, among the names in a folder; undefined if none does.
 *
 * @param names of what is in the folder.
 */
export async function modelMarker(folder: string, names: readonly string[]): Promise<string | undefined> {
  const marker = names.find((name) => MARKERS.test(name));
  if (marker !== undefined) return marker;
  if (names.includes("vocab.txt")) {
    if (names.includes("config.json")) return "vocab.txt and config.json";
    const lines = (await beginningOf(`${folder}/vocab.txt`)).split(/\r?\n/);
    if (lines.includes("[UNK]") && lines.includes("[CLS]")) return "vocab.txt";
  }
  if (names.includes("run.json") && /"cloze_version"/.test(await beginningOf(`${folder}/run.json`))) return "run.json";
}

/** The first characters of a regular file; nothing of what cannot be read. */
async function beginningOf(path: string): Promise<string> {
  try {
    if (!(await Deno.stat(path)).isFile) return "";
    using file = await Deno.open(path);
    const buffer = new Uint8Array(BEGINNING);
    const read = await file.read(buffer);
    return new TextDecoder().decode(buffer.subarray(0, read ?? 0));
  } catch {
    return "";
  }
}
