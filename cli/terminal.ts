/** What people see on standard error: notes, a live progress line on a terminal, plain lines elsewhere. */

import type { ClozeError } from "../config/cloze_error.ts";

const encoder = new TextEncoder();
const isTerminal = () => Deno.stderr.isTerminal();
const PLAIN_EVERY_MS = 10_000;

let live = "";
let lastPlain = -Infinity;

function write(text: string): void {
  try {
    Deno.stderr.writeSync(encoder.encode(text));
  } catch {
    // Nobody reads it any more, which is no reason to stop.
  }
}

/** Writes data to standard output, all of it. */
export async function writeOut(text: string): Promise<void> {
  const bytes = encoder.encode(text);
  for (let at = 0; at < bytes.length;) at += await Deno.stdout.write(bytes.subarray(at));
}

/** Whether colours are wanted. */
function colours(): boolean {
  return isTerminal() && !Deno.noColor;
}

/** Bold text, on a terminal that shows it. */
export function bold(text: string): string {
  return colours() ? `\x1b[1m${text}\x1b[22m` : text;
}

/** Text in colours, on a stream that shows them. */
export function painter(stream: { isTerminal(): boolean }) {
  const shown = stream.isTerminal() && !Deno.noColor;
  const paint = (on: number, off: number) => (text: string) => shown ? `\x1b[${on}m${text}\x1b[${off}m` : text;
  return { bold: paint(1, 22), dim: paint(2, 22), red: paint(31, 39), green: paint(32, 39), cyan: paint(36, 39) };
}

/** A line that stays. */
export function note(text: string): void {
  endProgress();
  write(`${text}\n`);
}

/** A line that the next one replaces; where standard error is no terminal, one every ten seconds stays. */
export function progress(text: string): void {
  if (isTerminal()) {
    const { columns } = terminalSize();
    live = text.slice(0, columns - 1);
    write(`\r\x1b[K${live}`);
  } else if (performance.now() - lastPlain >= PLAIN_EVERY_MS) {
    lastPlain = performance.now();
    write(`${text}\n`);
  }
}

/** Takes the progress line away. */
export function endProgress(): void {
  if (live !== "") write("\r\x1b[K");
  live = "";
}

function terminalSize(): { columns: number } {
  try {
    return Deno.consoleSize();
  } catch {
    return { columns: 80 };
  }
}

/** Prints an error the way people read it. */
export function printError(error: ClozeError): void {
  endProgress();
  const label = colours() ? "\x1b[31merror:\x1b[39m" : "error:";
  write(`${label} ${error.message}\n`);
  if (error.hint !== undefined) write(`hint: ${error.hint}\n`);
}

/** `1234567` → `1,234,567` */
export const grouped = (n: number): string => Math.round(n).toLocaleString("en-US");

/** `0.1234` → `12.3%` */
export const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;

/** Milliseconds as people say them: `48s`, `3m 20s`, `2h 5m`. */
export function clock(ms: number): string {
  const s = Math.round(ms / 1000);
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m ${s % 60}s`;
  return `${Math.floor(s / 3600)}h ${Math.floor(s % 3600 / 60)}m`;
}

/** Bytes as people say them. */
export function size(bytes: number): string {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(0)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
