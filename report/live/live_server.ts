/**
 * A page that follows a run in the browser: the report's page, and a script that asks for what is new. Called by the report
 * command, and by live_worker.ts for a run of the same process.
 */

import { checkMethod, guardedPage, json, LocalServer } from "../../web/local_server.ts";
import { type Guard, Refusal } from "../../web/guard.ts";
import { chartScripts, document, policy } from "../document.ts";
import { html } from "../html.ts";
import script from "./live.js" with { type: "text" };
import { LiveRun, type LiveState, type Snapshot } from "./live_run.ts";

/** What the page is answered when it asks for more: the whole page, if it is another one than it has. */
export interface FiguresAnswer {
  revision: number;
  state: LiveState;
  said: string;
  /** HTML of the page's main part. */
  body?: string;
  curves?: Snapshot["page"]["curves"];
}

const POLICY = `${policy([...chartScripts, script], true)}; frame-ancestors 'none'`;
/** A page that has not asked for this long has been closed. */
const CLOSED_MS = 4000;

/** A server that follows one folder. */
export class LiveServer implements AsyncDisposable {
  readonly #run: LiveRun;
  readonly #server: LocalServer;
  /** When a page last asked, and the newest state that one has been told. */
  #asked = -Infinity;
  #told: LiveState = "waiting";

  /** @throws {ClozeError} `io` if it cannot listen. */
  constructor(folder: string, onFault: (message: string) => void = () => {}) {
    this.#run = new LiveRun(folder);
    this.#server = new LocalServer({ port: 0, answer: (request, guard) => this.#answer(request, guard), onFault });
  }

  /** An address that opens the page, once. */
  address(): string {
    return this.#server.guard.address();
  }

  /** How the run stands. */
  async state(): Promise<LiveState> {
    return (await this.#run.look()).state;
  }

  /** Waits until the pages that are open know how the run ended, or have been closed. */
  async last(): Promise<void> {
    const isOpen = () => performance.now() - this.#asked < CLOSED_MS;
    const knows = () => this.#told === "ended" || this.#told === "stopped";
    for (let turn = 0; turn < 40 && isOpen() && !knows(); turn++) await new Promise((done) => setTimeout(done, 100));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }

  async #answer(request: Request, guard: Guard): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname !== "/" && pathname !== "/figures") throw new Refusal(404, "there is no such page");
    checkMethod(request, "GET");
    if (pathname === "/figures") guard.checkKey(request);
    const { revision, state, said, page } = await this.#run.look();
    if (pathname === "/") {
      const banner = html`<p id="live" class="${state}" role="status">${said}</p>`;
      return guardedPage(request, guard, document(page, new Date(), { script, banner }), POLICY);
    }
    this.#asked = performance.now();
    this.#told = state;
    const isNew = searchParams.get("after") !== String(revision);
    const answer: FiguresAnswer = {
      revision,
      state,
      said,
      ...(isNew ? { body: page.body.text, curves: page.curves } : {}),
    };
    return json(answer);
  }
}
