/** The boundary to the native core, from the side of TypeScript. */

export {
  type AdamWOptions,
  type Batch,
  Engine,
  type EngineDescription,
  type EngineOptions,
  type LossSums,
  type RowResults,
} from "./engine.ts";
export { locateLibrary } from "./library.ts";
export { type NativeCode, NativeError } from "./native_error.ts";
export { gemmRate } from "./gemm_rate.ts";
