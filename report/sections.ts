/** The report's sections about one run: its text and masks, its settings. Called by page.ts. */

import { counted, grouped, orDash, percent } from "../config/numbers.ts";
import type { TextStatistics } from "../config/metric.ts";
import { commandText, moment } from "./document.ts";
import { type Content, type Html, html } from "./html.ts";
import { conforms, lastStart, type RunRecord, taskOf } from "./run_record.ts";

/** A table of names and values, one column of values for each head. */
function table(heads: readonly string[], rows: readonly (readonly [string, ...Content[]])[]): Html {
  return html`
    <div class="scroll">
      <table>${heads.length === 0 ? undefined : html`
        <thead>
          <tr><th></th>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr>
        </thead>
      `}<tbody>
    ${rows.map(([name, ...cells]) =>
      html`
        <tr><th scope="row">${name}</th>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>
      `
    )}</tbody></table>
    </div>
  `;
}

/** Text, vocabulary and masks in numbers. */
export function textSection(run: RunRecord): Html {
  const start = lastStart(run);
  if (start === undefined) {
    return html`
      <section>
        <h2>Text, vocabulary, masks</h2>
        <p class="note">Not recorded.</p>
      </section>
    `;
  }
  const { train, held_out, tokenizer, masking, unigram } = start;
  const both = (name: string, value: (text: TextStatistics) => Content) =>
    [name, value(train), value(held_out)] as const;
  const asked = run.config?.training as Record<string, unknown> | undefined;
  const chosen = (name: string, otherwise?: number) => {
    const value = asked?.[name] ?? otherwise;
    return typeof value === "number" ? percent(value) : "–";
  };
  return html`<section>
<h2>Text and vocabulary</h2>
${
    table(["training", "held out"], [
      both("tokens", ({ tokens }) => grouped(tokens)),
      both("sentences", ({ sentences }) => grouped(sentences)),
      both("documents", ({ documents }) => grouped(documents)),
      both("fertility: tokens per word", ({ fertility }) => orDash(fertility, (n) => n.toFixed(2))),
      both("[UNK] among the words", unknownWords),
      both("[UNK] among the tokens", ({ unknown_share }) => orDash(unknown_share, share)),
      both(
        `of the vocabulary of ${grouped(tokenizer.size)} in use`,
        ({ vocabulary_used }) => `${grouped(vocabulary_used)} (${percent(vocabulary_used / tokenizer.size)})`,
      ),
      ...(typeof start.duplicate_share === "number"
        ? [["lines that are copies of earlier ones", share(start.duplicate_share), "counted together"] as const]
        : []),
    ])
  }
<p class="note">A word is what the pre-tokenizer cuts: words and punctuation marks.${
    conforms(start.unknown?.examples, [""])
      ? ` Became [UNK], for example: ${start.unknown!.examples.join(", ")}.`
      : undefined
  }</p>
<p>Most frequent in training: ${
    train.most_frequent.map(({ token, share }, i) => html`${i > 0 ? ", " : ""}<code>${token}</code> ${percent(share)}`)
  }. The entropy of these frequencies is ${orDash(unigram.entropy, nats)} nats a token; on the held-out ${
    taskOf(run).predictions
  } they cost
${orDash(unigram.loss, nats)}.</p>
<h2>Masks</h2>
${
    !taskOf(run).masks
      ? html`<p>Every token is predicted; none is masked.</p>`
      : table(["asked for", "measured on the held-out batches"], [
        [
          "chosen for prediction",
          asked?.final_mlm_probability === undefined
            ? chosen("mlm_probability")
            : `in training ${chosen("mlm_probability")} at first, ${chosen("final_mlm_probability")} at the end`,
          `${orDash(masking.tokens === 0 ? null : masking.masked / masking.tokens, percent)} (${
            grouped(masking.masked)
          } of ${grouped(masking.tokens)} tokens in ${grouped(masking.sequences)} sequences)`,
        ],
        ["of these, replaced by [MASK]", chosen("mask_share", 0.8), orDash(masking.mask_share, percent)],
        ["replaced by another token", chosen("random_share", 0.1), orDash(masking.random_share, percent)],
        ["left as they are", "the rest", orDash(masking.kept_share, percent)],
      ])
  }
</section>`;
}

/** How many of the words; an older record has tokens only. */
function unknownWords({ words, unknown_words }: TextStatistics): string {
  if (!(words > 0)) return "–";
  return unknown_words === 0
    ? "none"
    : `${share(unknown_words / words)} (${grouped(unknown_words)} of ${grouped(words)})`;
}

const nats = (value: number) => value.toFixed(3);
const share = (value: number) => (value === 0 ? "none" : value < 0.001 ? "under 0.1%" : percent(value));

/** How to repeat the run. */
export function settingsSection(run: RunRecord): Html {
  const { config } = run;
  const start = lastStart(run);
  const first = run.starts[0];
  const flat = (object: object | undefined): [string, Content][] =>
    Object.entries(object ?? {}).map(([name, value]) => [
      name,
      typeof value === "object" ? JSON.stringify(value) : String(value),
    ]);
  const extensions = Array.isArray(config?.extensions) ? config.extensions : [];
  const extents: unknown[] = [config?.training.extent, ...extensions.map((extension) => extension?.extent)];
  const budget = extents.some((extent) => typeof extent === "object" && extent !== null && "budget_ms" in extent);
  const files: unknown = config?.data.files, valid: unknown = config?.data.valid_files;
  return html`<section>
<h2>To repeat it</h2>
${
    first === undefined
      ? html`<p class="note">The command is not recorded.</p>`
      : html`<p>In <code>${first.folder}</code>:</p>
<pre>${commandText(first.command)}</pre>
<p class="note">${
        budget
          ? "It ends by the clock, so the same command makes a similar run and not the same one; with --steps or " +
            "--epochs it would be the same, bit for bit."
          : "The same files and the same version give the same run, bit for bit, whatever the number of threads."
      }</p>`
  }
${
    extensions.length === 0
      ? ""
      : html`<p class="note">It was made longer after it was begun: with <code>--resume</code>, ${
        extensions.map((extension) => `after step ${extension?.step} to ${JSON.stringify(extension?.extent)}`).join(
          ", ",
        )
      }.</p>`
  }
${
    table([], [
      ["folder of the run", html`<code>${run.path}</code>`],
      ...(files === undefined ? [] : [[
        "text",
        Array.isArray(files)
          ? files.map((file) => html`<code>${String(file)}</code><br>`)
          : files === "practice"
          ? "the embedded practice corpus"
          : String(files),
      ] as [string, Content]]),
      ...(Array.isArray(valid)
        ? [["held out", valid.map((file) => html`<code>${String(file)}</code><br>`)] as [string, Content]]
        : []),
      ...(start === undefined ? [] : [
        ["training text, SHA-256", html`<code>${start.train.sha256}</code>`],
        ["held-out text, SHA-256", html`<code>${start.held_out.sha256}</code>`],
        ["tokenizer, SHA-256", html`<code>${start.tokenizer.sha256}</code>`],
        ["lowercase", start.tokenizer.lowercase ? "yes" : "no"],
        [
          "engine",
          `${start.engine.engine}, ${start.engine.instruction_set}, ${counted(start.engine.threads, "thread")}`,
        ],
        ["versions", `cloze ${start.versions.cloze}, Deno ${start.versions.deno}, ${start.versions.platform}`],
        [
          "begun",
          run.starts.map(({ time, step }, i) =>
            `${i > 0 ? "; resumed after update " + grouped(step) + ", " : ""}${moment(time)}`
          ),
        ],
      ] as [string, Content][]),
    ])
  }
<details><summary>Configuration</summary>
${table([], [...flat(config?.training), ...flat(config?.model)])}
</details>
</section>`;
}
