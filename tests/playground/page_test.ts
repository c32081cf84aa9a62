/** The playground's page in a real Chromium, through its DOM. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Playground } from "../../playground/server.ts";
import { SMALL_RUN, smallPlace } from "../support.ts";
import { Page, testInChromium } from "../browser.ts";

testInChromium(
  "the page blanks words, fills them, shows surprise and checkpoints, by mouse and by keyboard",
  async (t) => {
    using place = smallPlace();
    const every = ["--steps", "6", "--save-every", "2", "--keep-checkpoints", "9"];
    for (const output of ["model", "other"]) {
      const { code, stderr } = await place.cloze(["pretrain", ...SMALL_RUN, "--output", output, ...every]);
      assertEquals(code, 0, stderr);
    }
    const models = ["model", "other"].map((name) => `${place.path}/${name}`);
    await using playground = new Playground({ models, port: 0, threads: 1 });
    await using page = await Page.open(playground.address());
    const type = (text: string) =>
      page.value(`(() => { const box = document.getElementById("text"); box.value = ${JSON.stringify(text)};
      box.dispatchEvent(new Event("input", { bubbles: true })); })()`);
    const words = () => page.value(`[...document.querySelectorAll(".word")].map((word) => word.ariaLabel)`);
    const answers = `document.querySelectorAll(".answer").length`;

    await t.step("it opens with an example and its answers, and the ticket is gone from the address", async () => {
      await page.until(`${answers} === 8`);
      assertEquals(await page.value("location.pathname + location.search"), "/");
      assertEquals(await page.value("document.title"), "model · cloze playground");
    });
    await t.step("typed text is cut into words, each with its surprise", async () => {
      await type("The cat sees the dog.");
      await page.until(`document.querySelectorAll(".word").length === 6 && document.querySelector(".nats") !== null`);
      assertStringIncludes((await words())[1], "cat, surprise ");
      assertEquals(await page.value(answers), 0);
      assertStringIncludes(await page.value(`document.getElementById("score").textContent`), "perplexity");
    });
    await t.step("the answers to typed text wait for nothing else that the page asks", async () => {
      await page.value(`(() => {
        const own = fetch, held = [];
        window.release = () => { window.fetch = own; held.forEach((go) => go()); };
        window.fetch = async (path, ...rest) => {
          if (path !== "/fill") await new Promise((go) => held.push(go));
          return await own(path, ...rest);
        };
      })()`);
      await type("The ____ sees the dog.");
      await page.until(`${answers} === 8`);
      await page.value("release()");
      await type("The cat sees the dog.");
      await page.until(`document.querySelectorAll(".word")[1]?.ariaLabel.startsWith("cat, surprise ")`);
      await page.until(`${answers} === 0`);
    });
    await t.step("a click blanks a word; an answer fills it and says what that changes", async () => {
      await page.value(`document.querySelectorAll(".word")[1].click()`);
      await page.until(`${answers} === 8`);
      assertEquals((await words())[1], "blank, was cat");
      const share = `parseFloat(document.querySelector(".answer").style.getPropertyValue("--share"))`;
      assert(await page.value(share) > 0);
      await page.value(`document.querySelectorAll(".answer")[3].click()`);
      await page.until(`document.getElementById("score").textContent.includes("by your choice")`);
      await page.until(`${answers} === 0`);
      assert(await page.value(`document.getElementById("text").value`) !== "The cat sees the dog.");
    });
    await t.step("the keyboard walks the words and blanks one", async () => {
      await type("The cat sees the dog.");
      await page.until(`document.querySelectorAll(".word")[1]?.ariaLabel.startsWith("cat")`);
      await page.value(`document.querySelectorAll(".word")[0].focus()`);
      for (const key of ["ArrowRight", "ArrowRight", "Enter"]) await page.key(key);
      await page.until(`document.querySelectorAll(".word")[2]?.ariaLabel === "blank, was sees"`);
      assertEquals(await page.value(`document.activeElement.ariaLabel`), "blank, was sees");
      await page.until(`${answers} === 8`);
      await page.value(`document.querySelector(".answer").focus()`);
      await page.key("Enter");
      await page.until(`${answers} === 0`);
      assertEquals(await page.value(`document.activeElement.className`), "word", "and goes on at the words");
      await type("The cat ____ the dog.");
      await page.until(`${answers} === 8`);
    });
    await t.step("a token's attention and neighbours are shown, by keyboard too", async () => {
      await page.value(`document.getElementById("inside").open = true; 1`);
      await page.until(`document.querySelectorAll(".look").length >= 8`);
      const looks = () => page.value(`[...document.querySelectorAll(".look")].map(({ ariaLabel }) => ariaLabel)`);
      assert((await looks()).every((label: string) => /, \d+\.\d+%$/.test(label)));
      await page.value(`document.querySelector('.look[aria-pressed="true"]').focus()`);
      for (const key of ["ArrowRight", "Enter"]) await page.key(key);
      await page.until(`document.querySelectorAll(".look")[2].ariaPressed === "true"`);
      await page.until(`document.querySelectorAll("#near li").length === 12`);
      const before = (await looks()).join();
      await page.value(`(() => { const layer = document.getElementById("layer"); layer.value = "0";
      layer.dispatchEvent(new Event("change", { bubbles: true })); })()`);
      await page.until(
        `[...document.querySelectorAll(".look")].map(({ ariaLabel }) => ariaLabel).join() !== ${
          JSON.stringify(before)
        }`,
      );
    });
    await t.step("every text is readable, light and dark, on the strongest of colours too", async () => {
      await page.value(`(() => {
        document.getElementById("figures").click();
        for (const node of document.querySelectorAll(".piece")) node.style.setProperty("--surprise", 1);
        for (const node of document.querySelectorAll(".look")) node.style.setProperty("--share", 1);
      })()`);
      for (const scheme of ["light", "dark"] as const) {
        await page.scheme(scheme);
        await new Promise((resolve) => setTimeout(resolve, 400)); // colours change slowly
        assertEquals(await page.faint(), [], scheme);
      }
    });
    await t.step("the slider goes back to checkpoints, and their answers stand in a table", async () => {
      await page.until(`document.querySelectorAll("#training tbody tr").length === 3`);
      await page.value(`(() => { const slider = document.getElementById("steps"); slider.value = 0;
      slider.dispatchEvent(new Event("input", { bubbles: true })); })()`);
      await page.until(`document.querySelector("#training tr[aria-current]")?.firstChild.textContent === "2"`);
      assertEquals(await page.value(`document.getElementById("step").textContent`), "2");
    });
    await t.step("a second model answers beside the first", async () => {
      await page.value(`(() => { const choice = document.getElementById("other"); choice.value = "other";
      choice.dispatchEvent(new Event("change", { bubbles: true })); })()`);
      await page.until(`document.querySelectorAll(".beside .answer").length === 8`);
    });
    await t.step("no text becomes markup, and right-to-left and emoji keep their words", async () => {
      await type(`<img src=x onerror="document.title='broken'"> </script><b>x</b> ____`);
      await page.until(`document.querySelectorAll(".word").length > 10 && ${answers} > 0`);
      assertEquals(await page.value(`document.querySelectorAll("#words img, #words b, #answers b").length`), 0);
      assertEquals(await page.value("document.title"), "model · cloze playground");
      await type("שלום 👩‍👩‍👧 ____ 고양이");
      await page.until(`document.querySelector(".word")?.ariaLabel.startsWith("שלום") && ${answers} > 0`);
      await page.until(`getComputedStyle(document.getElementById("looks")).direction === "rtl"`);
      await page.until(`document.getElementById("near-problem").textContent.includes("the vocabulary lacks")`);
    });
    await t.step("an empty text is no problem, and one that is too long is said", async () => {
      await type("");
      await page.until(`document.querySelectorAll(".word").length === 0`);
      assertEquals(await page.value(`document.getElementById("problem").hidden`), true);
      await type(`${"cat ".repeat(100)}____ ${"dog ".repeat(100)}____`);
      await page.until(`document.getElementById("problem").textContent.includes("at most")`);
    });
    assertEquals(page.complaints.filter((text) => !text.includes("422")), []);
  },
);
