/** Numbers as people read them, on the terminal and in the report. */

/** `1234567` → `1,234,567` */
export const grouped = (n: number): string => Math.round(n).toLocaleString("en-US");

/** `1 line`, `1,200 lines`; `many` where the plural is not the singular with an s. */
export const counted = (n: number, one: string, many = `${one}s`): string => `${grouped(n)} ${n === 1 ? one : many}`;

/** `0.1234` → `12.3%` */
export const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;

/** Milliseconds as people say them: `48s`, `3m 20s`, `2h 5m`. */
export function clock(ms: number): string {
  const s = Math.round(ms / 1000);
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m ${s % 60}s`;
  return `${Math.floor(s / 3600)}h ${Math.floor(s % 3600 / 60)}m`;
}

/** Milliseconds as flags take a time, rounded up: `50s`, `7m`, `1.5h`. */
export function roundedTime(ms: number): string {
  const minutes = ms / 6e4;
  if (minutes <= 2) return `${Math.ceil(ms / 1e4) * 10}s`;
  if (minutes <= 10) return `${Math.ceil(minutes)}m`;
  return minutes <= 90 ? `${Math.ceil(minutes / 5) * 5}m` : `${Math.ceil(minutes / 30) / 2}h`;
}

/** Bytes as people say them. */
export function size(bytes: number): string {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(0)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** The first so many names of a list, and how many more there are. */
export function firstOf(names: readonly string[], most: number): string {
  const more = names.length - most;
  return names.slice(0, most).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

/** A figure as `format` has it, or – where there is none. */
export const orDash = (value: number | null | undefined, format: (n: number) => string): string =>
  typeof value === "number" ? format(value) : "–";
