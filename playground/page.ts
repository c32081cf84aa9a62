/** The page: files that need nothing else, and may run and load nothing else. */

import answers from "./page/answers.js" with { type: "text" };
import ask from "./page/ask.js" with { type: "text" };
import inside from "./page/inside.js" with { type: "text" };
import main from "./page/main.js" with { type: "text" };
import style from "./page/page.css" with { type: "text" };
import html from "./page/page.html" with { type: "text" };
import training from "./page/training.js" with { type: "text" };
import words from "./page/words.js" with { type: "text" };

/** The page itself: the same for every model, which it asks for. */
export const PAGE = html;

/** What it loads, by path: its text and type. There is no secret in it. */
export const ASSETS: Record<string, { text: string; type: string }> = {
  "/page/page.css": { text: style, type: "text/css; charset=utf-8" },
  ...Object.fromEntries(
    Object.entries({ answers, ask, inside, main, training, words })
      .map(([name, text]) => [`/page/${name}.js`, { text, type: "text/javascript; charset=utf-8" }]),
  ),
};

/** What a browser lets the page do: run and load these files, and ask this server. No text of a model becomes markup. */
export const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join("; ");
