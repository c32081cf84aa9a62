/**
 * The one place that writes to standard output and standard error: notes, a live progress line on a terminal, plain lines
 * elsewhere. Whatever text holds (words of a vocabulary, labels, paths, messages), no control character of it reaches a
 * terminal: only what is styled here does.
 */

import { program } from "../config/called.ts";
import { type ClozeError, ioError } from "../config/cloze_error.ts";
import { visible, visibleLine } from "../config/visible.ts";

const encoder = new TextEncoder();
const isTerminal = () => Deno.stderr.isTerminal();
const PLAIN_EVERY_MS = 10_000;

/** The lines that the next progress replaces. */
let live: string[] = [];
let lastPlain = -Infinity;

/** Begins a style of ours, from the first one on. No text can hold it: it is another one in each process. */
let style: string | undefined;

function styled(on: number, off: number, text: string): string {
  style ??= `\x1b${crypto.randomUUID()}`;
  return `${style}${on}m${text}${style}${off}m`;
}

/** Texts between styles, and the number of each style between two of them. */
function byStyles(text: string): string[] {
  if (style === undefined || !text.includes(style)) return [text];
  return text.split(new RegExp(`${style}(\\d+)m`));
}

/** The text without styles. */
function unstyled(text: string): string {
  return byStyles(text).filter((_, i) => i % 2 === 0).join("");
}

/** Text for a terminal: its own control characters escaped, our styles put in. */
function shown(text: string): string {
  return byStyles(text).map((part, i) => i % 2 === 0 ? visible(part) : `\x1b[${part}m`).join("");
}

function write(text: string): void {
  try {
    Deno.stderr.writeSync(encoder.encode(text));
  } catch {
    // Nobody reads it any more, which is no reason to stop.
  }
}

/**
 * Writes data to standard output, all of it. Control characters and those that turn the direction of text are escaped,
 * in JSON too, which then holds the same.
 *
 * @throws {ClozeError} `io` if it cannot be written.
 */
export async function writeOut(text: string): Promise<void> {
  endProgress(); // both streams may be one terminal
  const bytes = encoder.encode(shown(text));
  try {
    for (let at = 0; at < bytes.length;) at += await Deno.stdout.write(bytes.subarray(at));
  } catch (error) {
    throw error instanceof Deno.errors.BrokenPipe ? error : ioError(error, "write", "to standard output");
  }
}

/** Whether colours are wanted. */
function colours(): boolean {
  return isTerminal() && !Deno.noColor;
}

/** Bold text, on a terminal that shows it. */
export function bold(text: string): string {
  return colours() ? styled(1, 22, text) : text;
}

/** Text in colours, on a stream that shows them. */
export function painter(stream: { isTerminal(): boolean }) {
  const shows = stream.isTerminal() && !Deno.noColor;
  const paint = (on: number, off: number) => (text: string) => shows ? styled(on, off, text) : text;
  return { bold: paint(1, 22), dim: paint(2, 22), red: paint(31, 39), green: paint(32, 39), cyan: paint(36, 39) };
}

/** A line that stays. On a terminal it is broken at words, unless it says what to type. */
export function note(text: string): void {
  endProgress();
  const isCommand = /(?:next|try) {5}/.test(text);
  const lines = isTerminal() && !isCommand ? hanging(text, terminalSize().columns) : [text];
  write(`${lines.map(shown).join("\n")}\n`);
}

/** Lines that the next ones replace; where standard error is no terminal, the last one stays, every ten seconds. */
export function progress(...lines: string[]): void {
  if (isTerminal()) {
    const width = terminalSize().columns - 1;
    const next = lines.map((line) => cut(visible(line), width));
    write(erasure() + next.join("\n"));
    live = next;
  } else if (performance.now() - lastPlain >= PLAIN_EVERY_MS) {
    lastPlain = performance.now();
    write(`${visible(lines.at(-1)!)}\n`);
  }
}

/** Begins the progress of something else: its first line is shown at once, wherever it is shown. */
export function newProgress(): void {
  lastPlain = -Infinity;
}

/** Takes the progress away. */
export function endProgress(): void {
  if (live.length > 0) write(erasure());
  live = [];
}

/** Goes to where the live lines begin and clears the screen from there. */
function erasure(): string {
  return live.length > 1 ? `\x1b[${live.length - 1}A\r\x1b[J` : "\r\x1b[K";
}

/** Size of the terminal, in characters. @param ask for tests. */
export function terminalSize(ask: () => { columns: number; rows: number } = Deno.consoleSize) {
  try {
    const { columns, rows } = ask();
    return { columns: columns || 80, rows: rows || 24 }; // a terminal that nobody told its size says 0
  } catch {
    return { columns: 80, rows: 24 };
  }
}

/** Whether standard error is a terminal, which can show what changes. */
export const isLive = (): boolean => isTerminal();

/** Prints an error the way people read it. */
export function printError(error: ClozeError): void {
  labelled("error:", 31, error.message, error.hint);
}

/** Says that a command ended because it was asked to, and how to go on. */
export function printStop(error: ClozeError): void {
  note(error.message);
  if (error.hint !== undefined) note(`${bold("next     ")}${error.hint}`);
}

/** Says what may be wrong and what to do about it; nothing stops. */
export function warn(message: string, hint?: string): void {
  labelled("warning:", 33, message, hint);
}

/** A terminal gets its lines broken at words; a command in a hint is left whole, so that it can be copied. */
function labelled(label: string, colour: number, message: string, hint: string | undefined): void {
  endProgress();
  const fit = (text: string) => isTerminal() ? folded(text, terminalSize().columns) : [text];
  const [first, ...rest] = fit(`${label} ${visibleLine(message)}`);
  const painted = colours() ? styled(colour, 39, label) + first.slice(label.length) : first;
  write(`${[shown(painted), ...rest].join("\n")}\n`);
  if (hint === undefined) return;
  const lines = isTerminal()
    ? hintLines(visibleLine(hint), program(), terminalSize().columns)
    : [`hint: ${visibleLine(hint)}`];
  write(`${lines.join("\n")}\n`);
}

/** A hint in lines. A command in it is whole; behind a colon it has a line of its own where all would be too wide. */
export function hintLines(hint: string, program: string, columns: number): string[] {
  const text = `hint: ${hint}`;
  if (widthOf(text) <= columns || !text.includes(`${program} `)) return folded(text, columns);
  const at = hint.indexOf(`: ${program} `);
  return at < 0 ? [text] : [...folded(`hint: ${hint.slice(0, at + 1)}`, columns), `  ${hint.slice(at + 2)}`];
}

/** Columns that standard output has: no limit where it is no terminal. */
export const outColumns = (): number => Deno.stdout.isTerminal() ? terminalSize().columns : Infinity;

/**
 * Rows as columns: the first to the left, numbers to the right. The first row says what they are; where all would be wider
 * than `columns`, it becomes two, the last word of each below the others, and then the column called `spare` is left out.
 */
export function table(rows: readonly string[][], columns = Infinity, spare?: string): string[] {
  const fits = (lines: string[]) => lines.every((line) => widthOf(line) <= columns);
  const lines = aligned(rows);
  if (fits(lines)) return lines;
  const [head, ...others] = rows;
  const above = head.map((cell) => cell.slice(0, Math.max(0, cell.lastIndexOf(" "))));
  const folded = [above, head.map((cell, i) => cell.slice(above[i].length).trimStart()), ...others];
  const narrower = aligned(folded), at = head.indexOf(spare ?? "");
  return at < 0 || fits(narrower) ? narrower : aligned(folded.map((row) => row.toSpliced(at, 1)));
}

function aligned(rows: readonly string[][]): string[] {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => widthOf(row[column]))));
  return rows.map((row) =>
    row.map((cell, i) => {
      const space = " ".repeat(widths[i] - widthOf(cell));
      return i === 0 ? cell + space : space + cell;
    }).join("  ").trimEnd()
  );
}

/**
 * Breaks a text at its spaces. A word that fits on no line stays where it is.
 *
 * @param indent stands before all lines but the first.
 */
export function folded(text: string, columns: number, indent = ""): string[] {
  const lines: string[] = [];
  let line = /^ */.exec(text)![0], isEmpty = true;
  for (const word of text.slice(line.length).split(" ")) {
    const more = widthOf(word);
    if (!isEmpty && widthOf(line) + 1 + more > columns && indent.length + more <= columns) {
      lines.push(line.trimEnd());
      line = indent + word;
    } else line += (isEmpty ? "" : " ") + word;
    isEmpty = false;
  }
  return [...lines, line];
}

/** A line of a label, two or more spaces and a text, or of a text, broken so that what comes below stands under the text. */
export function hanging(line: string, columns: number): string[] {
  if (widthOf(line) <= columns) return [line];
  const label = /^ *(?:\S+ {2,})?/.exec(unstyled(line))![0];
  return folded(line, columns, " ".repeat(label.length));
}

/** East Asian wide characters and emoji, of which a terminal makes two columns. */
const WIDE =
  /[\u1100-\u115F\u2E80-\u303E\u3041-\uA4CF\uA960-\uA97F\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6]|[\u{1F300}-\u{1FAFF}\u{20000}-\u{3FFFD}]/u;

/** Columns that a text takes in a terminal. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of unstyled(text)) width += columnsOf(character);
  return width;
}

function columnsOf(character: string): number {
  return character < "\x7F" ? 1 : WIDE.test(character) ? 2 : /[\p{Mn}\p{Me}\p{Cf}]/u.test(character) ? 0 : 1;
}

/** As much of a line as fits. */
export function cut(line: string, columns: number): string {
  let width = 0, end = 0;
  for (const character of line) {
    width += columnsOf(character);
    if (width > columns) break;
    end += character.length;
  }
  return line.slice(0, end);
}
