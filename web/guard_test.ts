import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Guard, LARGEST_BODY, readQuestion, Refusal } from "./guard.ts";

const PORT = 8000;
const request = (headers: Record<string, string>, method = "POST") =>
  new Request(`http://127.0.0.1:${PORT}/fill`, { method, headers: { host: `127.0.0.1:${PORT}`, ...headers } });

/** What a check says of a request: the status that it refuses with, or 200. */
function statusOf(check: () => void): number {
  try {
    check();
    return 200;
  } catch (error) {
    if (error instanceof Refusal) return error.status;
    throw error;
  }
}

Deno.test("Guard takes a request from its own page or a script, and none by way of another site or name", () => {
  const guard = new Guard(PORT);
  const status = (headers: Record<string, string>, method?: string) =>
    statusOf(() => guard.checkSource(request(headers, method)));
  assertEquals(status({}), 200);
  assertEquals(status({ host: `localhost:${PORT}`, origin: `http://localhost:${PORT}` }), 200);
  assertEquals(status({ "sec-fetch-site": "same-origin", origin: `http://127.0.0.1:${PORT}` }), 200);
  assertEquals(status({ "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" }, "GET"), 200);
  for (const host of ["evil.example", `evil.example:${PORT}`, "127.0.0.1", `127.0.0.1:${PORT + 1}`, ""]) {
    assertEquals(status({ host }), 403, host);
  }
  for (const origin of ["https://evil.example", "null", `http://127.0.0.1:${PORT + 1}`, `https://127.0.0.1:${PORT}`]) {
    assertEquals(status({ origin }), 403, origin);
  }
  for (const site of ["cross-site", "same-site"]) {
    assertEquals(status({ "sec-fetch-site": site }), 403, site);
    assertEquals(status({ "sec-fetch-site": site, "sec-fetch-mode": "no-cors" }, "GET"), 403, site);
  }
});

Deno.test("Guard.checkKey takes the key as cookie of this port or as bearer, and nothing that resembles it", () => {
  const guard = new Guard(PORT);
  const status = (headers: Record<string, string>) => statusOf(() => guard.checkKey(request(headers)));
  assertEquals(status({ authorization: `Bearer ${guard.key}` }), 200);
  assertEquals(status({ cookie: `a=b; ${guard.cookie().split(";")[0]}` }), 200);
  for (const key of ["", guard.key.slice(1), `${guard.key}0`, guard.key.replace(/./, "x"), new Guard(PORT).key]) {
    assertEquals(status({ authorization: `Bearer ${key}` }), 401, key);
    assertEquals(status({ cookie: `cloze-${PORT}=${key}` }), 401, key);
  }
  assertEquals(status({ cookie: `cloze-${PORT + 1}=${guard.key}` }), 401);
  assertEquals(status({}), 401);
});

Deno.test("Guard.spend takes the newest ticket once", () => {
  const guard = new Guard(PORT);
  const ticket = () => new URL(guard.address()).searchParams.get("ticket")!;
  const first = ticket(), second = ticket();
  assertEquals([guard.spend(first), guard.spend(second), guard.spend(second)], [false, true, false]);
  assertEquals(guard.spend(""), false);
  assertEquals(second === guard.key, false);
});

Deno.test("readQuestion takes a JSON object of bounded length and says what else it was given", async () => {
  const ask = (body: BodyInit, type = "application/json") =>
    readQuestion(new Request("http://127.0.0.1/", { method: "POST", body, headers: { "content-type": type } }));
  assertEquals(await ask('{"text":"가"}'), { text: "가" });
  const refused: [BodyInit, number, string?][] = [
    ["[]", 400],
    ["null", 400],
    ["{", 400],
    ["", 400],
    [Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d), 400],
    ["{}", 415, "text/plain"],
    [`{"text":"${"a".repeat(LARGEST_BODY)}"}`, 413],
  ];
  for (const [body, status, type] of refused) {
    assertEquals((await assertRejects(() => ask(body, type), Refusal)).status, status);
  }
  assertThrows(() => {
    throw new Refusal(400, "x");
  }, Refusal);
});
