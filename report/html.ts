/**
 * HTML from templates in which everything that is put in is escaped, unless it is HTML itself: characters of markup, and
 * those that would turn the direction of the text around it. Knows no report.
 */

import { visible } from "../config/visible.ts";

/** Text that is HTML already. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** What a template may hold. */
export type Content = Html | string | number | undefined | readonly Content[];

const ENTITIES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** A template. */
export function html(parts: TemplateStringsArray, ...contents: Content[]): Html {
  return new Html(parts.map((part, i) => (i === 0 ? part : render(contents[i - 1]) + part)).join(""));
}

function render(content: Content): string {
  if (content === undefined) return "";
  if (content instanceof Html) return content.text;
  if (Array.isArray(content)) return content.map(render).join("");
  return visible(String(content)).replace(/[&<>"']/g, (character) => ENTITIES[character]);
}
