/** The boundary to the native core, from the side of TypeScript. */

export {
  type AdamWOptions,
  type Device,
  Engine,
  type EngineDescription,
  type EngineOptions,
  type ModelPart,
  type MuonOptions,
  type OptimizerOptions,
  type SharedOptimizerOptions,
  type TrainingReport,
} from "./engine.ts";
export { type CudaLibrary, inspectMachine, type MachineReport } from "./doctor.ts";
export { locateLibrary } from "./library.ts";
export { type NativeCode, NativeError } from "./native_error.ts";
export { extendWeights, type WeightsExtension } from "./extend_weights.ts";
export { type Launched, launched, type MpiLibrary, World } from "./world.ts";
export { gemmRate } from "./gemm_rate.ts";
