/**
 * The playground: a page on 127.0.0.1 and the questions that it asks, for scripts as well. The one place of cloze that
 * listens to a network. Called by the playground command.
 */

import { ClozeError, messageOf } from "../config/cloze_error.ts";
import { VERSION } from "../config/run_config.ts";
import type { InferenceOptions } from "../inference/open_engine.ts";
import { Guard, readQuestion, Refusal, refusalOf } from "./guard.ts";
import { ASSETS, PAGE, POLICY } from "./page.ts";
import type { PlaygroundModel } from "./playground_model.ts";
import type { ModelsAnswer } from "./protocol.ts";
import { Shelf } from "./shelf.ts";

/** How a playground is opened. */
export interface PlaygroundOptions extends InferenceOptions {
  /** Model folders; the page begins with the first. */
  models: readonly string[];
  /** 0 takes a free one. */
  port: number;
  /** Is told of what went wrong in a way that nobody foresaw. */
  onFault?: (message: string) => void;
}

/** Questions that wait for the engine at most; whoever asks more has to ask again. */
const MOST_WAITING = 32;
const MOST_ANSWERS = 200;

/** Sent with everything: nothing is kept, framed, guessed or told to others. */
const HEADERS = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
};

/** What a model is asked, by the path of the request. */
const QUESTIONS: Record<string, (model: PlaygroundModel, question: Record<string, unknown>) => unknown> = {
  "/tokenize": (model, question) => model.tokenize(textOf(question)),
  "/fill": (model, question) => model.fill(textOf(question), topKOf(question)),
  "/score": (model, question) => model.score(textOf(question)),
};

/** A playground that runs. */
export class Playground implements AsyncDisposable {
  readonly port: number;
  /** Settled when it has been closed. */
  readonly finished: Promise<void>;
  readonly #guard: Guard;
  readonly #shelf: Shelf;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #onFault: (message: string) => void;
  #waiting = 0;

  /** @throws {ClozeError} if the port is taken. */
  constructor(options: PlaygroundOptions) {
    this.#shelf = new Shelf(options.models, options);
    this.#onFault = options.onFault ?? (() => {});
    try {
      this.#server = Deno.serve(
        { hostname: "127.0.0.1", port: options.port, onListen: () => {}, onError: (error) => this.#failure(error) },
        (request) => this.#answer(request),
      );
    } catch (error) {
      throw new ClozeError("io", `port ${options.port} cannot be listened to: ${messageOf(error)}`, {
        hint: "give another --port, or none to take a free one",
      });
    }
    this.port = this.#server.addr.port;
    this.finished = this.#server.finished;
    this.#guard = new Guard(this.port);
  }

  /** An address that opens the page, once. */
  address(): string {
    return this.#guard.address();
  }

  /** What scripts send with each request. */
  get header(): string {
    return `Authorization: Bearer ${this.#guard.key}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
    this.#shelf[Symbol.dispose]();
  }

  async #answer(request: Request): Promise<Response> {
    try {
      this.#guard.checkSource(request);
      return await this.#route(request);
    } catch (error) {
      await request.body?.cancel().catch(() => {});
      const failure = this.#failure(error);
      // Whoever opens the page without its address reads a sentence, not JSON.
      if (new URL(request.url).pathname !== "/") return failure;
      return new Response(`${refusalOf(error).error}\n`, { status: failure.status, headers: HEADERS });
    }
  }

  #failure(error: unknown): Response {
    const { status, ...answer } = refusalOf(error);
    if (status === 500) this.#onFault(messageOf(error));
    return json(answer, status);
  }

  async #route(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const isQuestion = Object.hasOwn(QUESTIONS, pathname), isAsset = Object.hasOwn(ASSETS, pathname);
    const method = isQuestion ? "POST" : "GET";
    if (!isQuestion && !isAsset && pathname !== "/" && pathname !== "/models") {
      throw new Refusal(404, "there is no such page");
    }
    if (request.method !== method) throw new Refusal(405, `${pathname} is asked by ${method}`);
    if (pathname === "/") return this.#page(request, searchParams.get("ticket"));
    if (isAsset) return text(ASSETS[pathname].text, ASSETS[pathname].type);
    this.#guard.checkKey(request);
    if (pathname === "/models") {
      return json({ version: VERSION, models: await this.#shelf.entries() } satisfies ModelsAnswer);
    }
    const question = await readQuestion(request);
    if (this.#waiting >= MOST_WAITING) throw new Refusal(429, "too many questions wait for an answer; ask again");
    this.#waiting++;
    try {
      const { model } = question;
      if (typeof model !== "string") throw new Refusal(422, "model has to be the id of a model, as /models has it");
      return json(await QUESTIONS[pathname](await this.#shelf.model(model), question));
    } finally {
      this.#waiting--;
    }
  }

  #page(request: Request, ticket: string | null): Response {
    const page = text(PAGE, "text/html; charset=utf-8");
    page.headers.set("content-security-policy", POLICY);
    if (ticket !== null && this.#guard.spend(ticket)) page.headers.set("set-cookie", this.#guard.cookie());
    else this.#guard.checkKey(request); // the page again
    return page;
  }
}

function json(answer: unknown, status = 200): Response {
  return Response.json(answer, { status, headers: HEADERS });
}

function text(content: string, type: string): Response {
  return new Response(content, { headers: { ...HEADERS, "content-type": type } });
}

function textOf({ text }: Record<string, unknown>): string {
  if (typeof text !== "string") throw new Refusal(422, "text has to be a text");
  return text.toWellFormed();
}

function topKOf({ top_k = 8 }: Record<string, unknown>): number {
  if (typeof top_k === "number" && Number.isInteger(top_k) && top_k >= 1 && top_k <= MOST_ANSWERS) return top_k;
  throw new Refusal(422, `top_k has to be a whole number from 1 to ${MOST_ANSWERS}`);
}
