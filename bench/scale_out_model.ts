/**
 * What a step of a shared run costs, as a model: formulas with constants, of which each says whether it was measured, is a
 * manufacturer's, or is assumed. Prints the tables of docs/scale-out.md. Not part of the product.
 *
 * usage: deno run bench/scale_out_model.ts
 */

/** A model: its parameters, and what its step computes. */
interface Model {
  name: string;
  parameters: number;
}

const MODELS: Record<string, Model> = {
  tiny: { name: "tiny", parameters: 0.73e6 },
  mini: { name: "mini", parameters: 5.5e6 },
  small: { name: "small", parameters: 17e6 },
  base: { name: "base", parameters: 110e6 },
};

/** What connects processes: bytes a second that each sends while it receives as many, and seconds before the first. */
interface Link {
  name: string;
  bytes_per_second: number;
  latency_s: number;
}

// Shared memory: 22 MB between two processes in 2.5 ms, small messages in 50 µs with naps (measured, 2 cores, MPICH 4).
const LOCAL: Link = { name: "one machine", bytes_per_second: 8.8e9, latency_s: 50e-6 };
// Assumed: 10 Gbit/s Ethernet at 90%, and what TCP takes.
const ETHERNET: Link = { name: "10 GbE", bytes_per_second: 1.1e9, latency_s: 100e-6 };
// Assumed, from manufacturers' figures: NVLink 4 inside a machine; 8 × 400 Gbit/s of a machine of 8 GPUs.
const NVLINK: Link = { name: "NVLink 4", bytes_per_second: 370e9, latency_s: 20e-6 };
const INFINIBAND: Link = { name: "8 × NDR 400", bytes_per_second: 350e9, latency_s: 30e-6 };

/** Seconds that posting and matching a message takes: each process sends one to every other (assumed). */
const MESSAGE_S = 1e-6;

/** Meetings of an update: before it, for the sums, the norm, and the weights. */
const MEETINGS = 4;

/** What a meeting takes beside the bytes, in seconds. */
type Meeting = (link: Link, processes: number) => number;

/** All tell rank 0 that they have come, and it tells them; then each sends to each. */
const overMpi: Meeting = ({ latency_s }, processes) => 2 * latency_s + 3 * MESSAGE_S * (processes - 1);
/** The same, and NCCL's messages from each to each (assumed). */
const overNccl: Meeting = (link, processes) => overMpi(link, processes) + link.latency_s + MESSAGE_S * (processes - 1);

/** Seconds in which an update is exchanged: each process sends (N − 1) / N of the gradient, and of the weights, in f32. */
function exchange(parameters: number, processes: number, link: Link, meeting: Meeting): number {
  const sent = 2 * (processes - 1) / processes * 4 * parameters;
  return sent / link.bytes_per_second + MEETINGS * meeting(link, processes);
}

const ms = (seconds: number) => `${seconds >= 1 ? Math.round(seconds * 1e3) : (seconds * 1e3).toPrecision(3)} ms`;
const percent = (share: number) => `${Math.round(100 * share)}%`;

function table(head: string[], rows: string[][]): void {
  console.log([head, head.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n") + "\n");
}

/** Tokens/s of one process of two cores (bench/README.md, bf16 on AMX). */
const CPU_RATES: Record<string, number> = { tiny: 89_000, mini: 25_000, base: 1_255 };

function processors(): void {
  const rows = [];
  for (const [name, rate] of Object.entries(CPU_RATES)) {
    for (const [processes, link] of [[2, LOCAL], [8, ETHERNET], [64, ETHERNET]] as const) {
      const tokens = 2048 * processes; // as many of each process as a preset's update has
      const compute = 2048 / rate, exposed = exchange(MODELS[name].parameters, processes, link, overMpi);
      const share = compute / (compute + exposed);
      rows.push([name, String(processes), link.name, String(tokens), ms(compute), ms(exposed), percent(share)]);
    }
  }
  table(["model", "processes", "link", "tokens of an update", "compute", "exchange", "computing"], rows);
}

/**
 * GPUs, on paper: BERT-base, 0.54 GFLOP a token, bf16 at 40% of an H100's 989 TFLOP/s (assumed); AdamW reads and writes 28
 * bytes a parameter at 3.35 TB/s. Nothing of an exchange runs beside backward.
 */
function gpus(): void {
  const { parameters } = MODELS.base;
  const rate = 0.4 * 989e12 / 0.54e9, update = 28 * parameters / 3.35e12;
  const rows = [];
  for (const tokens of [4096, 16384]) {
    for (const [processes, link] of [[8, NVLINK], [64, INFINIBAND], [1000, INFINIBAND]] as const) {
      const compute = tokens / rate, exposed = exchange(parameters, processes, link, overNccl);
      const step = compute + exposed + update / processes;
      const all = `${(tokens * processes / 1e6).toPrecision(3)} M`;
      rows.push([
        String(processes),
        String(tokens),
        all,
        ms(step),
        ms(exposed),
        percent(compute / step),
      ]);
    }
  }
  table(["GPUs", "tokens of each", "tokens of an update", "step", "exposed exchange", "computing"], rows);
}

if (import.meta.main) {
  processors();
  gpus();
}
