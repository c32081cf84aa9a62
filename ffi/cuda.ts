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
  /** How work is run to find a fault: words with commas between them, `synchronous` or `no-graphs`. */
  debug?: string;
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

/** Where drivers and containers put libraries that no search path names: NVIDIA's images, hosted notebooks, WSL, NixOS. */
const MOUNTS = [
  "/usr/local/nvidia/lib64",
  "/usr/local/nvidia/lib",
  "/usr/lib64-nvidia",
  "/usr/lib/wsl/lib",
  "/run/opengl-driver/lib",
];

/**
 * Folders of mounts, of the CUDA toolkit, and of pip's wheels (`nvidia-*`, and what lies beside `torch`) in the usual places
 * and the active environment.
 */
export function cudaOptions(): CudaOptions {
  const given = (names: string[]) => names.map(environment).filter((x) => x !== undefined);
  const toolkits = [...given(["CUDA_HOME", "CUDA_PATH"]), "/usr/local/cuda"];
  const environments = given(["VIRTUAL_ENV", "CONDA_PREFIX"]);
  const home = environment("HOME");
  const packages = [...environments, ...(home === undefined ? [] : [`${home}/.local`]), "/usr/local", "/usr"]
    .flatMap((prefix) => folders(`${prefix}/lib`, /^python3/))
    .flatMap((python) => folders(python, /^(site|dist)-packages$/));
  const library_folders = [
    ...MOUNTS,
    ...toolkits.flatMap((path) => [`${path}/lib64`, `${path}/bin`]),
    ...environments.map((path) => `${path}/lib`),
    ...packages.flatMap((path) => folders(`${path}/nvidia`, /./)).map((path) => `${path}/lib`),
    ...packages.map((path) => `${path}/torch/lib`),
  ];
  const cache = environment("XDG_CACHE_HOME") ?? environment("LOCALAPPDATA") ??
    (home === undefined ? undefined : `${home}/.cache`);
  return {
    library_folders,
    ...(cache === undefined ? {} : { kernel_cache: `${cache}/cloze/kernels` }),
    debug: environment("CLOZE_CUDA") ?? "",
  };
}
