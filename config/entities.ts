/**
 * Entities in the tags of words, under the schemes IOB1, IOB2 (BIO), IOE and BIOES, as conlleval and seqeval's default mode
 * find them (Tjong Kim Sang and Buchholz, 2000; Nakayama, 2018): an `I-` that follows nothing of its type begins one.
 */

/** Some neighbouring words of one type: `from` to `to`, end exclusive. */
export interface WordSpan {
  type: string;
  from: number;
  to: number;
}

const TAG = /^(?:([BIES])(?:-(.*))?|O)$/s;

/** Whether all tags are of such a scheme, and some mark entities. */
export function hasEntities(labels: readonly string[]): boolean {
  return labels.every((label) => TAG.test(label)) && labels.some((label) => label !== "O");
}

/** The entities that the tags of a sentence say. */
export function entitiesOf(tags: readonly string[]): WordSpan[] {
  const spans: WordSpan[] = [];
  let before = "O", of = "", from = 0;
  for (let i = 0; i <= tags.length; i++) {
    const [, place = "O", type = "_"] = (i < tags.length ? TAG.exec(tags[i]) : null) ?? [];
    if (before !== "O" && (place === "O" || type !== of || startsAnew(before, place))) {
      spans.push({ type: of, from, to: i });
      before = "O";
    }
    if (before === "O") from = i;
    [before, of] = [place, type];
  }
  return spans;
}

/** Whether an entity ends between two tags of one type. */
function startsAnew(before: string, place: string): boolean {
  return before === "E" || before === "S" || place === "B" || place === "S";
}

/** How entities that were found compare with those that are there: precision, recall and F1 over all of them. */
export interface EntityScores {
  precision: number;
  recall: number;
  f1: number;
  /** Entities that are there. */
  count: number;
}

/** Counts entities; one is right if its words and its type are. */
export class EntityCounts {
  #there = 0;
  #found = 0;
  #right = 0;

  /** Adds a sentence. */
  add(truth: readonly string[], answer: readonly string[]): void {
    const key = ({ type, from, to }: WordSpan) => `${from} ${to} ${type}`;
    const there = new Set(entitiesOf(truth).map(key)), found = entitiesOf(answer).map(key);
    this.#there += there.size;
    this.#found += found.length;
    this.#right += found.filter((span) => there.has(span)).length;
  }

  /** Where nothing was found, or nothing is there, a share of it is 0, as in seqeval. */
  get result(): EntityScores {
    const share = (n: number) => n === 0 ? 0 : this.#right / n;
    const precision = share(this.#found), recall = share(this.#there), sum = precision + recall;
    return { precision, recall, f1: sum === 0 ? 0 : 2 * precision * recall / sum, count: this.#there };
  }
}
