/**
 * Fetches NVRTC, the compiler of CUDA kernels, with pip into target/nvrtc (90 MB), so that the tests can compile every
 * kernel on machines without a GPU; they leave those tests out where it is missing. usage: deno task nvrtc
 */

/** Of the CUDA release that cloze is built for. */
const PACKAGE = "nvidia-cuda-nvrtc==13.0.*";

const folder = `${import.meta.dirname}/../target/nvrtc`;
const pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target", folder, PACKAGE];
try {
  const { success } = await new Deno.Command("python3", { args: pip, stdin: "null" }).spawn().status;
  if (!success) {
    console.error(`error: pip did not install ${PACKAGE}\nhint: its messages above say why`);
    Deno.exit(1);
  }
} catch (error) {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
  console.error("error: python3 was not found, whose pip fetches NVRTC\nhint: install Python 3 with pip");
  Deno.exit(1);
}
console.error("NVRTC is in target/nvrtc; the tests use it from now on");
