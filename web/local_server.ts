/**
 * A server of this machine alone: 127.0.0.1, behind the guard, with nothing kept, framed, guessed or told to others. The one
 * place of cloze that listens to a network.
 */

import { ClozeError, messageOf } from "../config/cloze_error.ts";
import { Guard, Refusal, refusalOf } from "./guard.ts";

/** How a server is opened. */
export interface LocalServerOptions {
  /** 0 takes a free one. */
  port: number;
  /** Answers a request that came from no other site; the key has not been checked yet. */
  answer: (request: Request, guard: Guard) => Promise<Response>;
  /** Is told of what went wrong in a way that nobody foresaw. */
  onFault?: (message: string) => void;
}

/** Sent with everything. */
const HEADERS = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
};

/** A server that runs. */
export class LocalServer implements AsyncDisposable {
  readonly port: number;
  readonly guard: Guard;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #options: LocalServerOptions;

  /** @throws {ClozeError} `io` if the port is taken. */
  constructor(options: LocalServerOptions) {
    this.#options = options;
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
    this.guard = new Guard(this.port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  async #answer(request: Request): Promise<Response> {
    try {
      this.guard.checkSource(request);
      return await this.#options.answer(request, this.guard);
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
    if (status === 500) this.#options.onFault?.(messageOf(error));
    return json(answer, status);
  }
}

/** An answer in JSON. */
export function json(answer: unknown, status = 200): Response {
  return Response.json(answer, { status, headers: HEADERS });
}

/** An answer in text of some type. */
export function text(content: string, type: string): Response {
  return new Response(content, { headers: { ...HEADERS, "content-type": type } });
}

/**
 * The page, for who has its ticket, which is spent and answered by a cookie, or that cookie.
 *
 * @param policy what a browser lets it do.
 * @throws {Refusal} 401
 */
export function guardedPage(request: Request, guard: Guard, content: string, policy: string): Response {
  const ticket = new URL(request.url).searchParams.get("ticket");
  const isFirst = ticket !== null && guard.spend(ticket);
  if (!isFirst) guard.checkKey(request); // the page again
  const page = text(content, "text/html; charset=utf-8");
  page.headers.set("content-security-policy", policy);
  if (isFirst) page.headers.set("set-cookie", guard.cookie());
  return page;
}

/** @throws {Refusal} 405 */
export function checkMethod(request: Request, method: string): void {
  if (request.method !== method) {
    throw new Refusal(405, `${new URL(request.url).pathname} is asked by ${method}`);
  }
}
