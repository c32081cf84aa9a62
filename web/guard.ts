/**
 * Who may ask: a page that was opened by the address that the terminal showed, or a script that has the key. Nothing that a
 * browser can be made to send by another site gets through, whatever name that site gives this machine (DNS rebinding).
 */

import { ClozeError } from "../config/cloze_error.ts";

/** A request that is refused. */
export class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Bytes of the largest question. */
export const LARGEST_BODY = 1 << 18;

/** The keys of one server. */
export class Guard {
  /** What the page and scripts show with each request. */
  readonly key = randomKey();
  readonly #port: number;
  /** Opens the page once, and is no use to who finds it in a history later. */
  #ticket: string | undefined;

  constructor(port: number) {
    this.#port = port;
  }

  /** A new address for the page; earlier ones open nothing any more. */
  address(): string {
    this.#ticket = randomKey();
    return `http://127.0.0.1:${this.#port}/?ticket=${this.#ticket}`;
  }

  /** Whether it is the ticket, which is then spent. */
  spend(ticket: string): boolean {
    const isRight = this.#ticket !== undefined && equal(ticket, this.#ticket);
    if (isRight) this.#ticket = undefined;
    return isRight;
  }

  /** What makes a browser show the key with each request from this page, and from no other. */
  cookie(): string {
    return `${this.#cookieName}=${this.key}; HttpOnly; SameSite=Strict; Path=/`;
  }

  /**
   * Refuses what was sent by way of another site or name.
   *
   * @throws {Refusal} 403
   */
  checkSource(request: Request): void {
    const hosts = [`127.0.0.1:${this.#port}`, `localhost:${this.#port}`];
    if (!hosts.includes(request.headers.get("host") ?? "")) {
      throw new Refusal(403, "cloze answers at 127.0.0.1 and localhost only");
    }
    const origin = request.headers.get("origin");
    const isOther = origin !== null && !hosts.some((host) => origin === `http://${host}`);
    const site = request.headers.get("sec-fetch-site");
    // A link typed or clicked elsewhere may open the page; nothing else may come from another site.
    const isNavigation = request.method === "GET" && request.headers.get("sec-fetch-mode") === "navigate";
    const isForeign = site !== null && site !== "same-origin" && site !== "none" && !isNavigation;
    if (isOther || isForeign) throw new Refusal(403, "cloze answers its own page only");
  }

  /** @throws {Refusal} 401 without the key, as cookie or as `Authorization: Bearer`. */
  checkKey(request: Request): void {
    const bearer = /^Bearer (\S+)$/.exec(request.headers.get("authorization") ?? "")?.[1];
    const shown = bearer ?? cookies(request).get(this.#cookieName);
    if (shown === undefined || !equal(shown, this.key)) {
      throw new Refusal(401, "open the address that the terminal shows; scripts send the header that it names");
    }
  }

  /** Cookies know no ports: two servers of one machine must not take each other's. */
  get #cookieName(): string {
    return `cloze-${this.#port}`;
  }
}

/**
 * The question in a request.
 *
 * @throws {Refusal} 413 if it is too long, 415 and 400 if it is no JSON object.
 */
export async function readQuestion(request: Request): Promise<Record<string, unknown>> {
  if (!/^application\/json\b/.test(request.headers.get("content-type") ?? "")) {
    throw new Refusal(415, "a question is sent as application/json");
  }
  const bytes = await readBody(request);
  try {
    const question = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (typeof question === "object" && question !== null && !Array.isArray(question)) return question;
  } catch {
    // said below
  }
  throw new Refusal(400, "a question is a JSON object in UTF-8");
}

async function readBody(request: Request): Promise<Uint8Array> {
  const bytes = new Uint8Array(LARGEST_BODY);
  let length = 0;
  try {
    for await (const chunk of request.body ?? []) {
      if (length + chunk.length > bytes.length) throw new Refusal(413, `a question has at most ${LARGEST_BODY} bytes`);
      bytes.set(chunk, length);
      length += chunk.length;
    }
  } catch (error) {
    throw error instanceof Refusal ? error : new Refusal(400, "the question ended before all of it had come");
  }
  return bytes.subarray(0, length);
}

/** What was thrown, as a status and a sentence. What nobody foresaw is not told to whoever asked. */
export function refusalOf(error: unknown): { status: number; error: string; hint?: string } {
  if (error instanceof Refusal) return { status: error.status, error: error.message };
  if (error instanceof ClozeError) {
    const status = error.code === "input" || error.code === "usage" ? 422 : 500;
    return { status, error: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) };
  }
  return { status: 500, error: "cloze failed in a way that it did not expect; the terminal shows how" };
}

function cookies(request: Request): Map<string, string> {
  const pairs = (request.headers.get("cookie") ?? "").split(/;\s*/).map((pair): [string, string] => {
    const at = pair.indexOf("=");
    return [pair.slice(0, at), pair.slice(at + 1)];
  });
  return new Map(pairs);
}

function randomKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(24))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Whether two keys are equal, in a time that does not tell where they differ. */
function equal(a: string, b: string): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < b.length; i++) difference |= a.charCodeAt(i) ^ b.charCodeAt(i);
  return difference === 0;
}
