/** The post-processors of tokenizer.json: the special tokens around texts, and trimmed offsets. Used by pipelines. */

import { ClozeError } from "../../config/cloze_error.ts";
import { boolean, type Json, list, object, refusal, shown, string } from "../json_fields.ts";
import type { Template, TemplatePart } from "../template.ts";

/** A template whose special tokens are still named. */
type NamedPart = { token: string; type_id: number } | { text: 0 | 1; type_id: number };

/** What the steps say. */
export interface PostProcessor {
  single: readonly NamedPart[];
  pair: readonly NamedPart[];
  /** The ids that the file gives to special tokens. */
  ids: ReadonlyMap<string, unknown>;
  trim?: Template["trim"];
}

const BARE: NamedPart[] = [{ text: 0, type_id: 0 }];
const BARE_PAIR: NamedPart[] = [{ text: 0, type_id: 0 }, { text: 1, type_id: 1 }];

/** `cls A sep`, and for a pair what RoBERTa or BERT has. */
function processing(json: Record<string, Json>, isRoberta: boolean): PostProcessor {
  const named = (name: string) => {
    const [token, id] = list(json[name], `post_processor.${name}`);
    return [string(token, `post_processor.${name}`), id] as const;
  };
  const [cls, clsId] = named("cls"), [sep, sepId] = named("sep");
  const second = isRoberta ? 0 : 1;
  const single: NamedPart[] = [{ token: cls, type_id: 0 }, { text: 0, type_id: 0 }, { token: sep, type_id: 0 }];
  const between: NamedPart[] = isRoberta ? [{ token: sep, type_id: 0 }] : [];
  return {
    single,
    pair: [...single, ...between, { text: 1, type_id: second }, { token: sep, type_id: second }],
    ids: new Map([[cls, clsId], [sep, sepId]]),
    ...(isRoberta && boolean(json.trim_offsets, "post_processor.trim_offsets")
      ? { trim: { add_prefix_space: boolean(json.add_prefix_space, "post_processor.add_prefix_space") } }
      : {}),
  };
}

function template(json: Record<string, Json>): PostProcessor {
  const parts = (name: string): NamedPart[] =>
    list(json[name], `post_processor.${name}`).map((value) => {
      const part = object(value, `post_processor.${name}`);
      const { id, type_id } = object(part.SpecialToken ?? part.Sequence, `post_processor.${name}`);
      if (!Number.isInteger(type_id)) throw refusal(`post_processor.${name}.type_id`, type_id, "a whole number");
      if (part.SpecialToken !== undefined) return { token: string(id, `post_processor.${name}`), type_id };
      if (id !== "A" && id !== "B") throw refusal(`post_processor.${name}`, id, '"A" or "B"');
      return { text: id === "A" ? 0 : 1, type_id };
    });
  const ids = new Map<string, unknown>();
  for (const [token, value] of Object.entries(object(json.special_tokens ?? {}, "post_processor.special_tokens"))) {
    const name = `post_processor.special_tokens.${token}`;
    const found = list(object(value, name).ids, `${name}.ids`);
    if (found.length !== 1) throw refusal(`${name}.ids`, found, "a list of one id");
    ids.set(token, found[0]);
  }
  return { single: parts("single"), pair: parts("pair"), ids };
}

/** The steps of a file, without sequences around them; `undefined` if there is none. */
export function readPostProcessor(steps: readonly Record<string, Json>[]): PostProcessor | undefined {
  let found: PostProcessor | undefined, trim: Template["trim"];
  for (const json of steps) {
    if (json.type === "ByteLevel") {
      if (!boolean(json.trim_offsets, "post_processor.trim_offsets")) continue;
      trim = { add_prefix_space: boolean(json.add_prefix_space, "post_processor.add_prefix_space") };
      continue;
    }
    if (found !== undefined) throw refusal("post_processor", "a sequence", "one step beside ByteLevel");
    if (json.type === "RobertaProcessing" || json.type === "BertProcessing") {
      found = processing(json, json.type === "RobertaProcessing");
    } else if (json.type === "TemplateProcessing") found = template(json);
    else {
      throw new ClozeError("input", `its post_processor ${shown(json.type)} is not one that cloze reads`, {
        hint: "cloze reads TemplateProcessing, RobertaProcessing, BertProcessing and ByteLevel",
      });
    }
  }
  if (found === undefined && trim === undefined) return undefined;
  return { ...(found ?? { single: BARE, pair: BARE_PAIR, ids: new Map() }), ...(trim === undefined ? {} : { trim }) };
}

/** The template with ids. @throws {ClozeError} if the file gives a special token another id than it has. */
export function templateOf(steps: PostProcessor | undefined, idOf: (token: string) => number | undefined): Template {
  if (steps === undefined) return { single: withIds(BARE, idOf), pair: withIds(BARE_PAIR, idOf) };
  for (const [token, id] of steps.ids) {
    if (idOf(token) === id) continue;
    throw new ClozeError("input", `its post_processor gives ${token} the id ${shown(id)}, but it has ${idOf(token)}`);
  }
  const { single, pair, trim } = steps;
  return { single: withIds(single, idOf), pair: withIds(pair, idOf), ...(trim === undefined ? {} : { trim }) };
}

function withIds(parts: readonly NamedPart[], idOf: (token: string) => number | undefined): TemplatePart[] {
  return parts.map((part) => {
    if ("text" in part) return part;
    const token = idOf(part.token);
    if (token === undefined) {
      throw new ClozeError("input", `its post_processor has ${part.token}, which the vocabulary lacks`);
    }
    return { token, type_id: part.type_id };
  });
}

/** The tokens that begin and end a text, if it is one token each. */
export function around(steps: PostProcessor | undefined): { cls: string; sep: string } | undefined {
  const [first, text, last, more] = steps?.single ?? [];
  if (first === undefined || text === undefined || last === undefined || more !== undefined) return undefined;
  if (!("token" in first) || !("text" in text) || !("token" in last) || text.text !== 0) return undefined;
  return { cls: first.token, sep: last.token };
}
