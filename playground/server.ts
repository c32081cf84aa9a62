/**
 * The playground: a page on 127.0.0.1 and the questions that it asks, for scripts as well. Called by the playground
 * command.
 */

import { VERSION } from "../config/run_config.ts";
import { type Guard, readQuestion, Refusal } from "../web/guard.ts";
import { checkMethod, guardedPage, json, LocalServer, text } from "../web/local_server.ts";
import { ASSETS, PAGE, POLICY } from "./page.ts";
import type { PlaygroundModel } from "./playground_model.ts";
import type { ModelsAnswer } from "./protocol.ts";
import { Shelf, type ShelfOptions } from "./shelf.ts";

/** How a playground is opened. */
export interface PlaygroundOptions extends ShelfOptions {
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
/** A browser that is going to open the page has done so by then. */
const PAINT_MS = 300;

/** What a model is asked, by the path of the request. */
const QUESTIONS: Record<string, (model: PlaygroundModel, question: Record<string, unknown>) => unknown> = {
  "/tokenize": (model, question) => model.tokenize(textOf(question)),
  "/fill": (model, question) => model.fill(textOf(question), topKOf(question)),
  "/score": (model, question) => model.score(textOf(question)),
  "/attention": (model, question) => model.attention(textOf(question), layerOf(question)),
  "/neighbours": (model, question) => model.neighbours(textOf(question), topKOf(question)),
};

/** A playground that runs. */
export class Playground implements AsyncDisposable {
  readonly #shelf: Shelf;
  readonly #server: LocalServer;
  #waiting = 0;
  /** Resolved when somebody has asked for the models, as the page does when it is there. */
  readonly #seen = Promise.withResolvers<void>();

  /** @throws {ClozeError} if the port is taken. */
  constructor(options: PlaygroundOptions) {
    this.#shelf = new Shelf(options.models, options);
    const { port, onFault } = options;
    this.#server = new LocalServer({
      port,
      answer: (request, guard) => this.#route(request, guard),
      ...(onFault === undefined ? {} : { onFault }),
    });
  }

  /**
   * Opens the first model before it is asked for, but not before the page: reading a tokenizer keeps this thread busy.
   *
   * @returns of each model, what a person should know of how its tokenizer was read.
   * @throws {ClozeError} if one of the models cannot be used.
   */
  async begin(): Promise<(readonly string[])[]> {
    const wait = setTimeout(this.#seen.resolve, PAINT_MS);
    await this.#seen.promise;
    clearTimeout(wait);
    return await this.#shelf.begin();
  }

  get port(): number {
    return this.#server.port;
  }

  /** An address that opens the page, once. */
  address(): string {
    return this.#server.guard.address();
  }

  /** What scripts send with each request. */
  get header(): string {
    return `Authorization: Bearer ${this.#server.guard.key}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
    this.#shelf[Symbol.dispose]();
  }

  async #route(request: Request, guard: Guard): Promise<Response> {
    const { pathname } = new URL(request.url);
    const isQuestion = Object.hasOwn(QUESTIONS, pathname), isAsset = Object.hasOwn(ASSETS, pathname);
    if (!isQuestion && !isAsset && pathname !== "/" && pathname !== "/models") {
      throw new Refusal(404, "there is no such page");
    }
    checkMethod(request, isQuestion ? "POST" : "GET");
    if (pathname === "/") return guardedPage(request, guard, PAGE, POLICY);
    if (isAsset) return text(ASSETS[pathname].text, ASSETS[pathname].type);
    guard.checkKey(request);
    if (pathname === "/models") {
      const answer = { version: VERSION, models: await this.#shelf.entries() } satisfies ModelsAnswer;
      this.#seen.resolve();
      return json(answer);
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
}

function textOf({ text }: Record<string, unknown>): string {
  if (typeof text !== "string") throw new Refusal(422, "text has to be a text");
  return text.toWellFormed();
}

function topKOf({ top_k = 8 }: Record<string, unknown>): number {
  if (typeof top_k === "number" && Number.isInteger(top_k) && top_k >= 1 && top_k <= MOST_ANSWERS) return top_k;
  throw new Refusal(422, `top_k has to be a whole number from 1 to ${MOST_ANSWERS}`);
}

function layerOf({ layer }: Record<string, unknown>): number | undefined {
  if (layer === undefined || (typeof layer === "number" && Number.isInteger(layer) && layer >= 0)) return layer;
  throw new Refusal(422, "layer has to be a whole number, 0 for the first one");
}
