import { assertEquals, assertThrows } from "@std/assert";
import { ClozeError } from "../config/cloze_error.ts";
import { agreed, type Equipment } from "./crew_devices.ts";

const gpu = (uuid: string, nccl = "2.27.5"): Equipment => ({ gpu: { number: 0, uuid }, nccl });
const NONE: Equipment = { problem: "driver was not found", install: "NCCL" };
const nameOf = (rank: number) => `rank ${rank}`;

Deno.test("agreed takes a GPU for each process, or processors for all where nobody asks for GPUs", () => {
  assertEquals(agreed("cuda", [gpu("a"), gpu("b")], nameOf), "cuda");
  assertEquals(agreed("auto", [gpu("a"), gpu("b")], nameOf), "cuda");
  assertEquals(agreed("auto", [NONE, NONE], nameOf), "cpu");
  const { nccl: _, ...alone } = gpu("a");
  assertEquals(agreed("cuda", [alone], nameOf), "cuda", "one process needs no NCCL");
});

Deno.test("agreed refuses mixtures, GPUs of two processes, and other versions or none of NCCL, by name", () => {
  const { nccl: _, ...bare } = gpu("b");
  const cases: [Equipment[], string][] = [
    [[NONE, NONE], "rank 0 has no CUDA device: driver was not found"],
    [[gpu("a"), NONE], "rank 0 has a GPU, but rank 1 has no CUDA device"],
    [[NONE, gpu("a")], "rank 1 has a GPU, but rank 0 has no CUDA device"],
    [[gpu("a"), gpu("b"), gpu("a")], "rank 0 and rank 2 have one GPU together"],
    [[gpu("a"), { ...bare, install: "it" }], "rank 1 has no NCCL"],
    [[gpu("a"), gpu("b", "2.18.1")], "rank 0 has NCCL 2.27.5, but rank 1 2.18.1"],
  ];
  for (const [all, text] of cases) assertThrows(() => agreed("cuda", all, nameOf), ClozeError, text);
  assertThrows(() => agreed("auto", [gpu("a"), NONE], nameOf), ClozeError, "not alike");
});
