/**
 * The processes that train one model together, as one of them sees them. Rank 0 leads: it alone reads the text, decides, writes
 * and reports. The others follow: they compute their micro-batches and wait for its orders. All of them meet before each
 * update; whoever has failed says so there, and then all of them end. Used by the pretrain command and the training loop.
 */

import { ClozeError, type ErrorCode, messageOf } from "../config/cloze_error.ts";
import { VERSION } from "../config/run_config.ts";
import { type Device, launched, type NativeCode, NativeError, World } from "../ffi/mod.ts";
import type { Amount } from "../tasks/task.ts";
import { agreed, type Equipment, equipment } from "./crew_devices.ts";
import type { Reached } from "./schedule.ts";

/** What a meeting carries without a second round, in bytes. */
const FRAME = 512;
/** How long a launcher may take to pass on what a process has said before it ends. */
const LAST_WORDS_MS = 1000;

/** Which micro-batches of an update a process has. */
export interface Share {
  first: number;
  count: number;
}

/** The leader's clock, where progress follows it. */
export type Clock = Pick<Reached, "elapsed_ms" | "reserved_ms">;

/** What the leader tells all: that its state is to be saved, from what batch on to evaluate, or that an update is due. */
export type Order = "save" | { evaluate: number } | UpdateOrder;

/** An update of the micro-batches that all have added up. */
export interface UpdateOrder extends Clock {
  learning_rate: number;
  /** Rows of new tokens that are trained alone, if any are. */
  alone: boolean;
}

/** What has to be the same in all processes before they train. */
export interface Ready {
  instruction_set: string;
  dtype: string;
  /** Of tokenizer and first batch, of its losses, and of the optimizer's state. */
  data: string;
}

/** How the processes begin. */
interface Hello {
  version: string;
  deno: string;
  args: string;
  host: string;
  /** The cores that the process may use. */
  cpus: string;
}

/** What is said at a meeting. */
interface Said {
  hello?: Hello;
  equipment?: Equipment;
  /** Of the leader: what the run is. */
  assignment?: unknown;
  ready?: Ready;
  order?: Order;
  /** How much the sender's batches of the next update have. */
  amount?: Amount;
  /** Whether this process was asked to stop. */
  stop?: boolean;
  failed?: Failure;
  /** Of the leader: the run is over. */
  end?: boolean;
}

interface Failure {
  code: ErrorCode;
  message: string;
  hint?: string | undefined;
  native?: NativeCode | undefined;
}

const NOTHING: Amount = { tokens: 0, predicted: 0, sequences: 0 };

function sumOf(said: readonly Said[]): Amount {
  return said.reduce((sum, { amount = NOTHING }) => ({
    tokens: sum.tokens + amount.tokens,
    predicted: sum.predicted + amount.predicted,
    sequences: sum.sequences + amount.sequences,
  }), NOTHING);
}

/** The processes of a run. */
export class Crew {
  readonly #world: World;
  readonly #own: Hello;
  readonly #local: number | undefined;
  readonly #tell: (error: ClozeError) => void;
  readonly #asked = new AbortController();
  #hellos: Hello[] = [];
  #isOver = false;
  #about = "";
  #on: { device: "cpu" | "cuda"; gpu: number } = { device: "cpu", gpu: 0 };

  private constructor(world: World, own: Hello, local: number | undefined, tell: (error: ClozeError) => void) {
    this.#world = world;
    this.#local = local;
    this.#own = own;
    this.#tell = tell;
  }

  /**
   * Joins the processes that a launcher has started, if one has.
   *
   * @param args what the command was called with.
   * @param tell prints an error of this process that ends all of them at once.
   * @throws {ClozeError} `engine` if there is no MPI library for them.
   */
  static async join(args: string, tell: (error: ClozeError) => void): Promise<Crew | undefined> {
    const launch = launched();
    if (launch === undefined) return undefined;
    const world = await World.join(launch);
    const own = { version: VERSION, deno: Deno.version.deno, args, host: world.host, cpus: world.cpus };
    return new Crew(world, own, launch.local, tell);
  }

  /** This process's number, from 0. */
  get rank(): number {
    return this.#world.rank;
  }

  /** How many there are. */
  get size(): number {
    return this.#world.size;
  }

  /** What they are and what carries their messages, in words. */
  get about(): string {
    const hosts = new Set(this.#hellos.map(({ host }) => host)).size;
    const where = hosts === 1 ? "" : ` on ${hosts} machines`;
    return `${this.size} ${
      this.size === 1 ? "process" : "processes"
    }${where}; ${this.#world.mpi.version}${this.#about}`;
  }

  /** What this process computes on, and with which GPU of those that it sees. */
  get on(): { device: "cpu" | "cuda"; gpu: number } {
    return this.#on;
  }

  /** How many threads each process has unless told: those that share cores divide them. */
  get threads(): number {
    const { host, cpus } = this.#hellos[this.rank];
    const sharing = this.#hellos.filter((other) => other.host === host && other.cpus === cpus).length;
    return Math.max(1, Math.floor(navigator.hardwareConcurrency / sharing));
  }

  /** Aborted when another process was asked to stop. */
  get asked(): AbortSignal {
    return this.#asked.signal;
  }

  /** Whether the run has ended, for whatever reason: nobody meets any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** The micro-batches that this process has of so many. */
  share(micro_batches: number): Share {
    const count = micro_batches / this.size;
    return { first: this.rank * count, count };
  }

  /** Meets the others for the first time. @throws {ClozeError} `usage` if they are not alike: they would not train one model. */
  async greet(): Promise<void> {
    const said = await this.#meet({ hello: this.#own });
    this.#hellos = said.map(({ hello }) => hello!);
    const names = { version: "is of cloze", deno: "runs on Deno", args: "was called with" } as const;
    for (const [name, what] of Object.entries(names) as [keyof typeof names, string][]) {
      this.#sameOf(
        this.#hellos.map((hello) => hello[name]),
        what,
        "start all of them with one command and one version",
      );
    }
  }

  /**
   * Agrees with the others on what all of them compute on. Each has a GPU of its own, by its number on its machine.
   *
   * @param asked what all of them were called with.
   * @throws {ClozeError} if not all of them can; all see why.
   */
  async equip(asked: Device): Promise<void> {
    if (asked === "cpu") return;
    const before = this.#hellos.slice(0, this.rank).filter(({ host }) => host === this.#own.host);
    const own = await equipment(this.#local ?? before.length);
    const all = (await this.#meet({ equipment: own })).map(({ equipment }) => equipment!);
    try {
      const device = agreed(asked, all, (rank) => this.#name(rank));
      if (device === "cuda" && all.length > 1) this.#about = `, NCCL ${own.nccl}`;
      this.#on = { device, gpu: own.gpu?.number ?? 0 };
    } catch (error) {
      this.#isOver = true; // all of them see it
      throw error;
    }
  }

  /** Tells the others what the run is. */
  async assign(assignment: unknown): Promise<void> {
    await this.#meet({ assignment });
  }

  /** Waits for what the run is, as long as it takes: the leader may read much text. */
  async assigned<T>(): Promise<T> {
    return (await this.#meet({}, true))[0].assignment as T;
  }

  /** Says what this process trains with. @throws {ClozeError} if the others train with something else. */
  async ready(ready: Ready): Promise<void> {
    const all = (await this.#meet({ ready })).map(({ ready }) => ready!);
    this.#sameOf(
      all.map(({ instruction_set }) => instruction_set),
      "computes with",
      "the same bits need processors of one kind; take machines that are alike",
    );
    this.#sameOf(all.map(({ dtype }) => dtype), "computes in", "give --dtype f32 or --dtype bf16");
    this.#sameOf(
      all.map(({ data }) => data),
      "has text and weights with the checksum",
      "the folder of the run has to be the same for all: put it where all machines see it",
    );
  }

  /** How much the first update has, which no order comes before. */
  async count(amount: Amount): Promise<Amount> {
    return sumOf(await this.#meet({ amount }));
  }

  /**
   * Leader: begins what all do at once. Learns who failed, and who was asked to stop.
   *
   * @param amount of its own batches of the next update, where an update is due; all of it is returned.
   */
  async lead(order: Order, amount: Amount = NOTHING): Promise<Amount> {
    const said = await this.#meet({ order, amount });
    if (said.some(({ stop }) => stop)) this.#asked.abort();
    return sumOf(said);
  }

  /** Follower: waits for what all do next, as `lead` has it; nothing comes of it when the run is over. */
  async follow(stop: boolean, amount: Amount): Promise<{ order: Order; amount: Amount } | undefined> {
    const said = await this.#meet({ stop, amount });
    const [{ order }] = said;
    return order === undefined ? undefined : { order, amount: sumOf(said) };
  }

  /**
   * Gives `own` to all of them, of as many bytes in each; returns what each has given, in their order. Without one of them
   * nothing can be done together, so that ends all.
   *
   * @param patient whether to wait for them as long as it takes.
   */
  async gather(own: Uint8Array<ArrayBuffer>, patient = false): Promise<Uint8Array[]> {
    return await this.#world.gather(own, patient).catch((error) => this.abort(error));
  }

  /** Does what all do at once. An error that only this process has would leave the others waiting: it ends all of them. */
  async together<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof NativeError && error.native === "NonFinite") throw error; // all of them have seen it
      return await this.abort(error);
    }
  }

  /** Ends all processes at once, after saying why: a launcher that ends them drops what it has not passed on yet. */
  async abort(error: unknown): Promise<never> {
    const where = this.#name(this.rank);
    this.#tell(
      error instanceof ClozeError
        ? new ClozeError(error.code, `${where}: ${error.message}`, { hint: error.hint, cause: error })
        : new ClozeError("engine", `${where} failed in a way that it did not expect: ${messageOf(error)}`, {
          hint: "CLOZE_DEBUG=1 shows where; please report it",
          cause: error,
        }),
    );
    await new Promise((resolve) => setTimeout(resolve, LAST_WORDS_MS));
    return await this.#world.abort();
  }

  /** Leaves the others: leader and followers at the end, whatever it is; says why, unless all know. */
  async leave(error?: ClozeError): Promise<void> {
    if (!this.#isOver) {
      const native = error instanceof NativeError ? error.native : undefined;
      const failed = error === undefined
        ? undefined
        : { code: error.code, message: error.message, hint: error.hint, native };
      await this.#exchange(failed === undefined ? { end: true } : { failed });
      this.#isOver = true;
    }
    await this.#world.leave();
  }

  /** @param values of all, in order. */
  #sameOf(values: readonly string[], what: string, hint: string): void {
    const other = values.findIndex((value) => value !== values[0]);
    if (other < 0) return;
    this.#isOver = true; // all of them see it
    const [first, second] = [0, other].map((rank) => `${this.#name(rank)} ${what} ${values[rank]}`);
    throw new ClozeError("usage", `the processes are not alike: ${first}, but ${second}`, { hint });
  }

  #name(rank: number): string {
    return `rank ${rank} of ${this.size} (${this.#hellos[rank]?.host ?? "unknown"})`;
  }

  /** Meets all; @throws what one of them has failed with. */
  async #meet(own: Said, patient = false): Promise<Said[]> {
    const said = await this.#exchange(own, patient);
    const rank = said.findIndex(({ failed }) => failed !== undefined);
    this.#isOver = rank >= 0 || said[0].end === true;
    if (rank < 0) return said;
    const { code, message, hint = "", native } = said[rank].failed!;
    const text = `${this.#name(rank)}: ${message}`;
    throw native === undefined ? new ClozeError(code, text, { hint }) : new NativeError(native, text, hint);
  }

  async #exchange(own: Said, patient = false): Promise<Said[]> {
    const text = new TextEncoder().encode(JSON.stringify(own));
    const frame = new Uint8Array(FRAME);
    const room = FRAME - 4;
    new DataView(frame.buffer).setUint32(0, text.length);
    if (text.length <= room) frame.set(text, 4);
    const frames = await this.gather(frame, patient);
    const lengths = frames.map((bytes) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0));
    const longest = Math.max(...lengths);
    let whole: Uint8Array[] = [];
    if (longest > room) {
      const padded = new Uint8Array(longest);
      padded.set(text);
      whole = await this.gather(padded);
    }
    const textOf = (i: number) =>
      lengths[i] <= room && longest <= room ? frames[i].subarray(4, 4 + lengths[i]) : whole[i].subarray(0, lengths[i]);
    return lengths.map((_, i) => JSON.parse(new TextDecoder().decode(textOf(i))));
  }
}
