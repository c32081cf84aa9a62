/**
 * Makes a text of a folder of HTML pages: a paragraph or heading a line, a blank line after each page; what stands on more
 * than one page is written once. Made for the Korean help of LibreOffice, which Debian has as `libreoffice-help-ko`. Every
 * twentieth page goes to the second file. Not part of the product.
 *
 * usage: deno run -A bench/going_on/help_text.ts FOLDER TRAIN.txt VALID.txt
 */

const [folder, train, valid] = Deno.args;
const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', nbsp: " ", apos: "'" };

/** Paths of the pages, in order. */
function pages(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    return isDirectory ? pages(path) : name.endsWith(".html") ? [path] : [];
  }).sort();
}

function plain(html: string): string {
  return html.replace(/<[^>]*>/g, " ").replace(/&#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)))
    .replace(/&(\w+);/g, (whole, name) => ENTITIES[name] ?? whole).replace(/\s+/g, " ").trim();
}

const seen = new Set<string>();
const texts: [string[], string[]] = [[], []];
let kept = 0;
for (const path of pages(folder)) {
  const html = Deno.readTextFileSync(path).replace(/<(script|style|nav|header|aside)\b.*?<\/\1>/gs, "");
  const lines = [...html.matchAll(/<(p|h[1-6]|li|td)\b[^>]*>(.*?)<\/\1>/gs)].map(([, , inner]) => plain(inner))
    .filter((line) => /\p{Script=Hangul}/u.test(line) && line.length >= 10 && !seen.has(line));
  for (const line of lines) seen.add(line);
  if (lines.length < 3) continue;
  texts[kept++ % 20 === 19 ? 1 : 0].push([...new Set(lines)].join("\n"));
}
for (const [i, path] of [train, valid].entries()) Deno.writeTextFileSync(path, texts[i].join("\n\n") + "\n");
console.log(`${texts[0].length} pages for training, ${texts[1].length} held out`);
