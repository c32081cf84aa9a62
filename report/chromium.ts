/** A page in a real Chromium, for tests. Used by tests only. */

/** A Chromium that can be started, or `undefined`. */
function found(): string | undefined {
  for (const name of ["chromium", "chromium-browser", "google-chrome"]) {
    try {
      if (new Deno.Command(name, { args: ["--version"], stdout: "null", stderr: "null" }).outputSync().success) {
        return name;
      }
    } catch {
      // Not this one.
    }
  }
  return undefined;
}

/** The command of a Chromium, if there is one. */
export const browser = found();

/** A test that needs a Chromium. */
export function testInChromium(name: string, fn: () => Promise<void>): void {
  const ignore = browser === undefined;
  Deno.test({ name: name + (ignore ? " (skipped: no chromium was found)" : ""), ignore, fn });
}

/** The page after its scripts have run, and what the browser complained of. */
export async function opened(page: string, width: number): Promise<{ dom: string; complaints: string[] }> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/report.html`, page);
    const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
      .concat(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
      .concat([`--user-data-dir=${folder}/profile`, `--window-size=${width},900`, "--enable-logging=stderr"]);
    const { stdout, stderr } = await new Deno.Command(browser!, {
      args: [...flags, "--dump-dom", `file://${folder}/report.html`],
      stdout: "piped",
      stderr: "piped",
      signal: AbortSignal.timeout(60_000),
    }).output();
    const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { dom: decode(stdout), complaints: decode(stderr).match(/^.*CONSOLE.*$/gm) ?? [] };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
