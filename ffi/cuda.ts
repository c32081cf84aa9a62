/**
 * Where the core may look for NVIDIA's libraries and keep compiled kernels: the core reads no environment. Called by
 * `engine.ts` and `doctor.ts` for every device but the CPU.
 */

/** What the core is told; snake_case, as it crosses the boundary. */
export interface CudaOptions {
  /** Folders that may hold cuBLASLt and NVRTC, after the system's search path. */
  library_folders: string[];
  /** Folder for compiled kernels. */
  kernel_cache?: string;
}

function environment(name: string): string | undefined {
  try {
    return Deno.env.get(name) || undefined;
  } catch {
    return undefined; // not permitted to read it, so it is as if it were not set
  }
}

/** The folders in `path` whose names match, as full paths; none if it is not a folder. */
function folders(path: string, name: RegExp): string[] {
  try {
    return [...Deno.readDirSync(path)].filter((entry) => name.test(entry.name)).map((entry) => `${path}/${entry.name}`);
  } catch {
    return [];
  }
}

/** Folders of the CUDA toolkit, and of pip's `nvidia-*` wheels in the usual places and the active environment. */
export function cudaOptions(): CudaOptions {
  const toolkits = [environment("CUDA_HOME"), environment("CUDA_PATH"), "/usr/local/cuda"].filter((x) =>
    x !== undefined
  );
  const home = environment("HOME");
  const prefixes = [
    environment("VIRTUAL_ENV"),
    environment("CONDA_PREFIX"),
    ...(home === undefined ? [] : [`${home}/.local`]),
    "/usr/local",
    "/usr",
  ].filter((x) => x !== undefined);
  const wheels = prefixes
    .flatMap((prefix) => folders(`${prefix}/lib`, /^python3/))
    .flatMap((python) => folders(python, /^(site|dist)-packages$/))
    .flatMap((packages) => folders(`${packages}/nvidia`, /./));
  const library_folders = [
    ...toolkits.flatMap((path) => [`${path}/lib64`, `${path}/bin`]),
    ...wheels.map((x) => `${x}/lib`),
  ];
  const cache = environment("XDG_CACHE_HOME") ?? environment("LOCALAPPDATA") ??
    (home === undefined ? undefined : `${home}/.cache`);
  return { library_folders, ...(cache === undefined ? {} : { kernel_cache: `${cache}/cloze/kernels` }) };
}
