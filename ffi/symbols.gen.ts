// Generated from core-rs/src/abi by `cargo run --release --example generate_symbols`; do not edit.

/** What this version of cloze expects `cloze_abi_hash` to return. */
export const ABI_HASH = 2133659786;

/** The exported calls; each returns a status and ends with an error buffer and its length. */
export const SYMBOLS = {
  cloze_abi_hash: { parameters: [], result: "u32" },
  /** request, request_len, handle, error, error_len */
  cloze_open: {
    parameters: ["buffer", "u32", "buffer", "buffer", "u32"],
    result: "i32",
    nonblocking: true,
  },
  /** request, request_len, tokens, error, error_len */
  cloze_tokens_that_fit: {
    parameters: ["buffer", "u32", "buffer", "buffer", "u32"],
    result: "i32",
    nonblocking: true,
  },
  /** handle, error, error_len */
  cloze_close: {
    parameters: ["u32", "buffer", "u32"],
    result: "i32",
    nonblocking: false,
  },
  /** handle, out, out_len, written, error, error_len */
  cloze_describe: {
    parameters: ["u32", "buffer", "u32", "buffer", "buffer", "u32"],
    result: "i32",
    nonblocking: false,
  },
  /** request, request_len, out, out_len, written, error, error_len */
  cloze_doctor: {
    parameters: ["buffer", "u32", "buffer", "u32", "buffer", "buffer", "u32"],
    result: "i32",
    nonblocking: true,
  },
  /** request, request_len, out, out_len, written, error, error_len */
  cloze_join: {
    parameters: ["buffer", "u32", "buffer", "u32", "buffer", "buffer", "u32"],
    result: "i32",
    nonblocking: true,
  },
  /** own, own_len, all, all_len, patient, error, error_len */
  cloze_gather: {
    parameters: ["buffer", "u32", "buffer", "u32", "u32", "buffer", "u32"],
    result: "i32",
    nonblocking: true,
  },
  /** code, error, error_len */
  cloze_leave: {
    parameters: ["u32", "buffer", "u32"],
    result: "i32",
    nonblocking: true,
  },
  /** handle, error, error_len */
  cloze_collect: {
    parameters: ["u32", "buffer", "u32"],
    result: "i32",
    nonblocking: true,
  },
  /** handle, request, request_len, error, error_len */
  cloze_save: {
    parameters: ["u32", "buffer", "u32", "buffer", "u32"],
    result: "i32",
    nonblocking: true,
  },
  /** request, request_len, error, error_len */
  cloze_extend_weights: {
    parameters: ["buffer", "u32", "buffer", "u32"],
    result: "i32",
    nonblocking: true,
  },
  /** path, path_len, hash, hash_len, error, error_len */
  cloze_file_sha256: {
    parameters: ["buffer", "u32", "buffer", "u32", "buffer", "u32"],
    result: "i32",
    nonblocking: true,
  },
  /** handle, input_ids, token_type_ids, position_ids, tokens, cu_seqlens, cu_seqlens_len, masked_positions, masked, labels, labels_len, sequence_labels, sequence_labels_len, sequence_targets, sequence_targets_len, sequence_weight, step, micro_step, error, error_len */
  cloze_forward_backward: {
    parameters: [
      "u32",
      "buffer",
      "buffer",
      "buffer",
      "u32",
      "buffer",
      "u32",
      "buffer",
      "u32",
      "buffer",
      "u32",
      "buffer",
      "u32",
      "buffer",
      "u32",
      "f64",
      "f64",
      "u32",
      "buffer",
      "u32",
    ],
    result: "i32",
    nonblocking: true,
  },
  /** handle, learning_rate, step, error, error_len */
  cloze_update: {
    parameters: ["u32", "f64", "f64", "buffer", "u32"],
    result: "i32",
    nonblocking: true,
  },
  /** handle, first, count, error, error_len */
  cloze_train_rows: {
    parameters: ["u32", "u32", "u32", "buffer", "u32"],
    result: "i32",
    nonblocking: false,
  },
  /** handle, out, error, error_len */
  cloze_report: {
    parameters: ["u32", "buffer", "buffer", "u32"],
    result: "i32",
    nonblocking: true,
  },
  /** handle, input_ids, token_type_ids, position_ids, tokens, cu_seqlens, cu_seqlens_len, masked_positions, masked, labels, labels_len, sequence_labels, sequence_labels_len, row_loss, row_rank, sequence_loss, sequence_rank, error, error_len */
  cloze_evaluate: {
    parameters: [
      "u32",
      "buffer",
      "buffer",
      "buffer",
      "u32",
      "buffer",
      "u32",
      "buffer",
      "u32",
      "buffer",
      "u32",
      "buffer",
      "u32",
      "buffer",
      "buffer",
      "buffer",
      "buffer",
      "buffer",
      "u32",
    ],
    result: "i32",
    nonblocking: true,
  },
  /** handle, input_ids, token_type_ids, position_ids, tokens, cu_seqlens, cu_seqlens_len, masked_positions, masked, k, ids, probabilities, out_len, error, error_len */
  cloze_top_k: {
    parameters: [
      "u32",
      "buffer",
      "buffer",
      "buffer",
      "u32",
      "buffer",
      "u32",
      "buffer",
      "u32",
      "u32",
      "buffer",
      "buffer",
      "u32",
      "buffer",
      "u32",
    ],
    result: "i32",
    nonblocking: true,
  },
  /** handle, input_ids, token_type_ids, position_ids, tokens, cu_seqlens, cu_seqlens_len, masked_positions, masked, out, out_len, error, error_len */
  cloze_logits: {
    parameters: [
      "u32",
      "buffer",
      "buffer",
      "buffer",
      "u32",
      "buffer",
      "u32",
      "buffer",
      "u32",
      "buffer",
      "u32",
      "buffer",
      "u32",
    ],
    result: "i32",
    nonblocking: true,
  },
  /** handle, input_ids, token_type_ids, position_ids, tokens, cu_seqlens, cu_seqlens_len, out, out_len, error, error_len */
  cloze_sequence_logits: {
    parameters: ["u32", "buffer", "buffer", "buffer", "u32", "buffer", "u32", "buffer", "u32", "buffer", "u32"],
    result: "i32",
    nonblocking: true,
  },
  /** handle, input_ids, token_type_ids, position_ids, tokens, cu_seqlens, cu_seqlens_len, out, out_len, error, error_len */
  cloze_hidden_states: {
    parameters: ["u32", "buffer", "buffer", "buffer", "u32", "buffer", "u32", "buffer", "u32", "buffer", "u32"],
    result: "i32",
    nonblocking: true,
  },
  /** handle, input_ids, token_type_ids, position_ids, tokens, cu_seqlens, cu_seqlens_len, layer, out, out_len, error, error_len */
  cloze_attention: {
    parameters: ["u32", "buffer", "buffer", "buffer", "u32", "buffer", "u32", "u32", "buffer", "u32", "buffer", "u32"],
    result: "i32",
    nonblocking: true,
  },
  /** handle, out, out_len, error, error_len */
  cloze_word_embeddings: {
    parameters: ["u32", "buffer", "u32", "buffer", "u32"],
    result: "i32",
    nonblocking: true,
  },
  /** bf16, threads, out, error, error_len */
  cloze_gemm_rate: {
    parameters: ["u32", "u32", "buffer", "buffer", "u32"],
    result: "i32",
    nonblocking: true,
  },
} as const;
