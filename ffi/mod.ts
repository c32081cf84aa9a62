/** The boundary to the native core, from the side of TypeScript. */

export { type AdamWOptions, Engine, type EngineDescription, type EngineOptions } from "./engine.ts";
export { locateLibrary } from "./library.ts";
export { type NativeCode, NativeError } from "./native_error.ts";
