/**
 * The engine: weights, gradients and the optimizer's state in the native core, behind a handle. It knows batches of
 * numbers, no text. Long because each call of the core is a method here.
 * Used by `training/` and `inference/`.
 */

import type { Batch } from "../config/batch.ts";
import { ClozeError } from "../config/cloze_error.ts";
import type { EngineHeads, LossSums, RowResults } from "../config/engine.ts";
import { shown } from "../config/json_object.ts";
import type { ModelConfig } from "../config/model_config.ts";
import { type Library, loadLibrary } from "./library.ts";
import { ERROR_LENGTH, throwIfFailed } from "./native_error.ts";

/** Where an engine runs; `auto` is the GPU where there is one that can be used, and the CPU elsewhere. */
export type Device = "cpu" | "cuda" | "auto";

/** What an engine is opened with; the core has no defaults. Buffers are planned for the largest batch. */
export interface EngineOptions {
  /** What the model is. */
  config: ModelConfig;
  /** What it is asked for. */
  heads: EngineHeads;
  /** `fused` is fast; `candle` is the same model in plain candle, the oracle. */
  engine: "fused" | "candle";
  /** Where it runs. */
  device: Device;
  /** Which of the GPUs that this process sees, from 0; the first one unless given. */
  gpu?: number;
  /** What activations are stored in and products multiply; `auto` is bf16 where this machine is faster with it. */
  dtype: "f32" | "bf16" | "auto";
  /** Whether to note where the time goes, for `describe`; off unless given. */
  profile?: boolean;
  /** Threads of the CPU. */
  threads: number;
  /** Of initialization and dropout; an integer from 0 to 2⁵³ − 1. */
  seed: number;
  /** Most tokens of a batch. */
  max_tokens: number;
  /** Most sequences of a batch. */
  max_sequences: number;
  /** Most tokens to predict in a batch. */
  max_masked: number;
  /** Most tokens of a sequence, special tokens included. */
  max_sequence_length: number;
  /** What the weights are updated by; without it, the engine cannot be trained. */
  optimizer?: OptimizerOptions;
  /** What the bias of the decoder begins with where there are no `weights`, instead of zeros; `[V]`. */
  decoder_bias?: readonly number[];
  /** What stands for the config's `initializer_range` in the matrices that branches of the encoder's layers begin with. */
  inner_initializer_range?: number;
  /** Whether half of the heads begin by looking at the tokens beside each, where a model has learned positions. */
  neighbour_attention?: boolean;
  /** A safetensors file, one of PyTorch, or an index of several; without it, weights are initialized from the seed. */
  weights?: string;
  /** What of the model the file may lack; that is initialized. */
  may_be_missing?: ModelPart[];
  /** The optimizer's state in a run to go on with. */
  training_state?: string;
  /**
   * Micro-batches of an update, a power of two, where their gradients are to be summed as a balanced tree. Each is a call of
   * `forwardBackward`; processes that were joined before share them.
   */
  micro_batches?: number;
}

/** What a parameter belongs to; `decoder` is the weight of a decoder of its own, `pooler` the first layer of a head on sequences. */
export type ModelPart = "encoder" | "token_head" | "decoder" | "pooler" | "next_sentence" | "classifier";

/** An optimizer and its hyperparameters. The learning rate comes with each update. */
export type OptimizerOptions = AdamWOptions | MuonOptions;

/** AdamW (Loshchilov and Hutter, 2019). */
export interface AdamWOptions extends SharedOptimizerOptions {
  /** Which one it is. */
  name: "adamw";
}

/**
 * Muon (Jordan et al., 2024) for the matrices inside the encoder's layers, with updates as large as AdamW's (Liu et al.,
 * 2025), and AdamW for all other parameters.
 */
export interface MuonOptions extends SharedOptimizerOptions {
  /** Which one it is. */
  name: "muon";
  /** Decay of the matrices' momentum. */
  momentum: number;
}

/** What all optimizers take. */
export interface SharedOptimizerOptions {
  /** Decay of the first moment. */
  beta1: number;
  /** Decay of the second moment. */
  beta2: number;
  /** Added to the root of the second moment. */
  epsilon: number;
  /** Decoupled from the gradient; not applied to biases and norms. */
  weight_decay: number;
  /** Largest norm of all gradients together; they are scaled down to it. */
  max_grad_norm: number;
}

/** What an engine says of itself. */
export interface EngineDescription {
  /** All tensors, by Hugging Face's names. */
  parameters: { name: string; shape: number[] }[];
  /** Numbers in all of them. */
  parameter_count: number;
  /** Parameters that were initialized because the weights' file lacks them. */
  initialized: { name: string; part: ModelPart }[];
  /** How many of that file's tensors are of known heads that the model has not, or say nothing. */
  passed_over: number;
  /** Names of that file's tensors that belong to no head that is known: the model answers without them. */
  unknown: string[];
  /** Which one it is. */
  engine: "fused" | "candle";
  /** Where it runs. */
  device: "cpu" | "cuda";
  /** What activations are stored in. */
  dtype: "f32" | "bf16";
  /**
   * Calls and time of each operation so far, longest first; empty unless asked for at opening. What is done with other processes
   * is always there, as `exchange: …`, with the bytes that this one has sent.
   */
  profile: { operation: string; calls: number; ms: number; bytes: number }[];
  /** Of the CPU, or the name of the GPU. */
  instruction_set: string;
  /** Threads of the CPU. */
  threads: number;
  /** Of the core. */
  version: string;
}

/** What came of training since the last report. */
export interface TrainingReport extends LossSums {
  /** Of the last update, before clipping. */
  grad_norm: number;
  /** Tokens (sequences, where none are predicted) that the gradient of the last update was divided by. */
  units: number;
}

/** The library that has the engine, and what it is asked for. */
async function requestOf(options: EngineOptions): Promise<{ library: Library; request: Uint8Array<ArrayBuffer> }> {
  for (const name of WHOLE) checkWhole(name, options[name], 0);
  const library = loadLibrary(options.engine);
  const { gpu = 0, ...asked } = options;
  const cuda = options.device === "cpu" ? {} : { cuda: { ...(await cudaModule()).cudaOptions(), ordinal: gpu } };
  return { library, request: new TextEncoder().encode(JSON.stringify({ ...asked, ...cuda })) };
}

/**
 * An open engine. Calls run on another thread, one at a time: a call made before the last one is done waits for it. A
 * batch must not be changed before its call is done.
 */
export class Engine implements Disposable {
  readonly #library: Library;
  readonly #handle: number;
  readonly #tokenOutputs: number;
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;
  #watch = () => {};

  private constructor(library: Library, handle: number, { config, heads: { tokens } }: EngineOptions) {
    this.#library = library;
    this.#handle = handle;
    this.#tokenOutputs = tokens?.kind === "classification" ? tokens.num_labels : config.vocab_size;
  }

  /**
   * Opens an engine.
   *
   * @throws {ClozeError} what is wrong with the options, the weights, the memory or the library.
   */
  static async open(options: EngineOptions): Promise<Engine> {
    const { library, request } = await requestOf(options);
    const handle = new Uint32Array(1);
    const error = new Uint8Array(ERROR_LENGTH);
    const status = await library.symbols.cloze_open(
      request,
      request.length,
      handle,
      error,
      error.length,
    );
    throwIfFailed(status, error);
    return new Engine(library, handle[0], options);
  }

  /**
   * The tokens of the largest batch that an engine of these options could take in the memory that is free on its GPU:
   * `max_tokens`, or these halved until they fit. 0 where it would run on the CPU.
   *
   * @throws {ClozeError} what is wrong with the options, the GPU or the library.
   */
  static async tokensThatFit(options: EngineOptions): Promise<number> {
    const { library, request } = await requestOf(options);
    const tokens = new Uint32Array(1);
    const error = new Uint8Array(ERROR_LENGTH);
    const status = await library.symbols.cloze_tokens_that_fit(request, request.length, tokens, error, error.length);
    throwIfFailed(status, error);
    return tokens[0];
  }

  /**
   * Adds the gradient of the batch's loss *sum*. `step` and `microStep` key the dropout. A sequence's loss counts
   * `sequenceWeight` where a token's counts 1: for the mean of one plus the mean of the other, give M / B of the whole
   * update. On a GPU the call is done before the work is; the batch may be changed then. What came of it is in `report`.
   */
  async forwardBackward(batch: Batch, step: number, microStep: number, sequenceWeight = 1): Promise<void> {
    const begin = arrays(batch);
    const { labels, sequence_labels, sequence_targets = NO_TARGETS } = batch;
    checkWhole("step", step, 0);
    checkWhole("microStep", microStep, 0, 2 ** 32 - 1);
    await this.#call((error) =>
      this.#library.symbols.cloze_forward_backward(
        this.#handle,
        ...begin,
        labels as BufferSource,
        labels.length,
        sequence_labels as BufferSource,
        sequence_labels.length,
        sequence_targets as BufferSource,
        sequence_targets.length,
        sequenceWeight,
        step,
        microStep,
        error,
        error.length,
      )
    );
  }

  /** Divides the gradient by the accumulated count of tokens (sequences, where none are predicted), clips it and updates the weights as update `step`, from 0. */
  async update(learningRate: number, step: number): Promise<void> {
    checkWhole("step", step, 0);
    await this.#call((error) =>
      this.#library.symbols.cloze_update(this.#handle, learningRate, step, error, error.length)
    );
  }

  /**
   * Trains only so many rows from `first` on of what has a row a token, from the next update on, and nothing decays;
   * everything again without them. What is not trained stays as it is, to the bit, in a run that begins so.
   */
  async trainRows(rows?: { first: number; count: number }): Promise<void> {
    const { first, count } = rows ?? { first: 0, count: 0 };
    for (const [name, value] of Object.entries({ first, count })) checkWhole(name, value, 0, 2 ** 32 - 1);
    await this.#call((error) =>
      Promise.resolve(this.#library.symbols.cloze_train_rows(this.#handle, first, count, error, error.length))
    );
  }

  /**
   * What came of training since the last report. Waits until all of it is done.
   *
   * @throws {NativeError} what went wrong since then, such as a loss that is not a number, with its step.
   */
  async report(): Promise<TrainingReport> {
    const out = new Float64Array(8);
    await this.#call((error) => this.#library.symbols.cloze_report(this.#handle, out, error, error.length));
    const [loss_sum, masked, correct, sequence_loss_sum, sequences, sequences_correct, grad_norm, units] = out;
    return { loss_sum, masked, correct, sequence_loss_sum, sequences, sequences_correct, grad_norm, units };
  }

  /** Loss and rank of each row's label, without dropout. */
  async evaluate(batch: Batch): Promise<RowResults> {
    const begin = arrays(batch);
    const { labels, sequence_labels, masked_positions } = batch;
    const row_loss = new Float32Array(masked_positions.length);
    const row_rank = new Int32Array(row_loss.length);
    const sequence_loss = new Float32Array(sequence_labels.length);
    const sequence_rank = new Int32Array(sequence_labels.length);
    await this.#call((error) =>
      this.#library.symbols.cloze_evaluate(
        this.#handle,
        ...begin,
        labels as BufferSource,
        labels.length,
        sequence_labels as BufferSource,
        sequence_labels.length,
        row_loss,
        row_rank,
        sequence_loss,
        sequence_rank,
        error,
        error.length,
      )
    );
    return { row_loss, row_rank, sequence_loss, sequence_rank };
  }

  /** The `k` most probable ids of each masked row, `[M, k]`, best first, and their probabilities. */
  async topK(batch: Batch, k: number): Promise<{ ids: Int32Array; probabilities: Float32Array }> {
    checkWhole("k", k, 1, this.#tokenOutputs);
    const length = batch.masked_positions.length * k;
    const ids = new Int32Array(length);
    const probabilities = new Float32Array(length);
    await this.#call((error) =>
      this.#library.symbols.cloze_top_k(
        this.#handle,
        ...arrays(batch),
        k,
        ids,
        probabilities,
        length,
        error,
        error.length,
      )
    );
    return { ids, probabilities };
  }

  /** The logits of the masked rows, `[M, V]`, or `[M, K]` of a head that tells classes of tokens. */
  async logits(batch: Batch): Promise<Float32Array> {
    const out = new Float32Array(batch.masked_positions.length * this.#tokenOutputs);
    await this.#call((error) =>
      this.#library.symbols.cloze_logits(
        this.#handle,
        ...arrays(batch),
        out,
        out.length,
        error,
        error.length,
      )
    );
    return out;
  }

  /** The logits `[B, K]` of the sequences, for a head of `outputs` outputs. */
  async sequenceLogits(batch: Batch, outputs: number): Promise<Float32Array> {
    checkWhole("outputs", outputs, 1, 2 ** 20);
    return await this.#output("cloze_sequence_logits", batch, Math.max(0, batch.cu_seqlens.length - 1) * outputs);
  }

  /** What the encoder makes of each token, `[N, C]`: Hugging Face's `last_hidden_state`. `width` is the model's C. */
  async hiddenStates(batch: Batch, width: number): Promise<Float32Array> {
    checkWhole("width", width, 1, 2 ** 20);
    return await this.#output("cloze_hidden_states", batch, batch.input_ids.length * width);
  }

  /**
   * What token i of a batch's only sequence gives to token j in each head of a layer, from 0: probabilities `[H, T, T]`.
   * `heads` is how many there are.
   */
  async attention(batch: Batch, layer: number, heads: number): Promise<Float32Array> {
    checkWhole("layer", layer, 0, 2 ** 16);
    checkWhole("heads", heads, 1, 2 ** 16);
    const out = new Float32Array(heads * batch.input_ids.length ** 2);
    const [ids, types, positions, tokens, bounds, boundsLength] = arrays(batch);
    await this.#call((error) =>
      this.#library.symbols.cloze_attention(
        this.#handle,
        ids,
        types,
        positions,
        tokens,
        bounds,
        boundsLength,
        layer,
        out,
        out.length,
        error,
        error.length,
      )
    );
    return out;
  }

  /** The word embeddings, `[V, E]`: `size` is V · E. */
  async wordEmbeddings(size: number): Promise<Float32Array> {
    checkWhole("size", size, 1, 2 ** 31);
    const out = new Float32Array(size);
    await this.#call((error) =>
      this.#library.symbols.cloze_word_embeddings(this.#handle, out, out.length, error, error.length)
    );
    return out;
  }

  /** So many numbers that the core makes of a batch without labels. */
  async #output(
    call: "cloze_sequence_logits" | "cloze_hidden_states",
    batch: Batch,
    length: number,
  ): Promise<Float32Array> {
    const out = new Float32Array(length);
    const [ids, types, positions, tokens, bounds, boundsLength] = arrays(batch);
    await this.#call((error) =>
      this.#library.symbols[call](
        this.#handle,
        ids,
        types,
        positions,
        tokens,
        bounds,
        boundsLength,
        out,
        out.length,
        error,
        error.length,
      )
    );
    return out;
  }

  /** Writes new safetensors files, flushed to the disk. */
  async save(target: { weights?: string; training_state?: string }): Promise<void> {
    const request = new TextEncoder().encode(JSON.stringify(target));
    await this.#call((error) =>
      this.#library.symbols.cloze_save(this.#handle, request, request.length, error, error.length)
    );
  }

  /** Brings the optimizer's state together for the next `save` of process 0, where processes share it: all call this at once. */
  async collect(): Promise<void> {
    await this.#call((error) => this.#library.symbols.cloze_collect(this.#handle, error, error.length));
  }

  /** Lets `check` look, before and after each call, at whether what the engine reads is still what it was; it throws if not. */
  watch(check: () => void): void {
    this.#watch = check;
  }

  /** Parameters, device and instruction set. */
  describe(): EngineDescription {
    this.checkOpen();
    const error = new Uint8Array(ERROR_LENGTH);
    const written = new Uint32Array(1);
    for (let out = new Uint8Array(1 << 14);; out = new Uint8Array(written[0])) {
      const { cloze_describe } = this.#library.symbols;
      throwIfFailed(cloze_describe(this.#handle, out, out.length, written, error, error.length), error);
      if (written[0] <= out.length) return JSON.parse(new TextDecoder().decode(out.subarray(0, written[0])));
    }
  }

  /** Frees the engine once the call in progress is done. Closing twice does nothing. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const error = new Uint8Array(ERROR_LENGTH);
    const free = () => void this.#library.symbols.cloze_close(this.#handle, error, error.length);
    this.#last.then(free, free);
  }

  /** Closes what it has open. */
  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Does nothing while it is open.
   *
   * @throws {ClozeError} if it has been closed.
   */
  checkOpen(): void {
    if (!this.#closed) return;
    throw new ClozeError("engine", "the engine has been closed: its model was disposed of", { hint: "open it again" });
  }

  #call(run: (error: Uint8Array<ArrayBuffer>) => Promise<number>): Promise<void> {
    this.checkOpen();
    const error = new Uint8Array(ERROR_LENGTH);
    const result = this.#last.catch(() => {}).then(() => {
      this.#watch();
      return run(error);
    }).then((status) => {
      this.#watch();
      throwIfFailed(status, error);
    });
    this.#last = result;
    return result;
  }
}

/** What only a GPU needs. The path is made here, because Deno reads a written-out one before a program starts. */
const cudaModule = (): Promise<typeof import("./cuda.ts")> => import(new URL("cuda.ts", import.meta.url).href);

/** Options that are whole numbers. */
const WHOLE = ["threads", "seed", "max_tokens", "max_sequences", "max_masked", "max_sequence_length"] as const;

/** The core reads as many bytes as the entries of an array of this kind have: another kind would be read beyond its end. */
function checkArray(name: string, array: Int32Array): void {
  if (array instanceof Int32Array) return;
  throw new ClozeError("engine", `${name} is ${shown(array)}, but has to be an Int32Array`);
}

const NO_TARGETS = new Float32Array(0);

function checkWhole(name: string, value: number, least: number, most: number = Number.MAX_SAFE_INTEGER): void {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return;
  throw new ClozeError("engine", `${name} is ${shown(value)}, but has to be a whole number from ${least} to ${most}`);
}

/** The arguments that every call on a batch begins with, after the handle. */
function arrays(batch: Batch) {
  const { input_ids, token_type_ids, position_ids, cu_seqlens, masked_positions, labels, sequence_labels } = batch;
  const all = { input_ids, token_type_ids, position_ids, cu_seqlens, masked_positions, labels, sequence_labels };
  for (const [name, array] of Object.entries(all)) checkArray(name, array);
  const targets = batch.sequence_targets;
  if (targets !== undefined && !(targets instanceof Float32Array)) {
    throw new ClozeError("engine", `sequence_targets is ${shown(targets)}, but has to be a Float32Array`);
  }
  if (token_type_ids.length !== input_ids.length || position_ids.length !== input_ids.length) {
    throw new ClozeError(
      "engine",
      `token_type_ids and position_ids need ${input_ids.length} entries like input_ids, ` +
        `but have ${token_type_ids.length} and ${position_ids.length}`,
    );
  }
  return [
    input_ids as BufferSource,
    token_type_ids as BufferSource,
    position_ids as BufferSource,
    input_ids.length,
    cu_seqlens as BufferSource,
    cu_seqlens.length,
    masked_positions as BufferSource,
    masked_positions.length,
  ] as const;
}
