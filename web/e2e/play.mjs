// Plays on the page in a real browser, against a real gateway.
//
//   SANDBAR_PAGE     address of a gateway that is open to everybody, with the example games
//   SANDBAR_GUARDED  address of one that asks for tokens, of the same namespace
//   SANDBAR_TOKEN    a token that it takes
//   SANDBAR_SHOTS    a folder for pictures; none are taken without
//   SANDBAR_SCENE    only scenes with this in their name
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { start } from "./browser.mjs";
import * as many from "./many.mjs";
import * as scenes from "./scenes.mjs";

const { SANDBAR_PAGE: address, SANDBAR_GUARDED: guarded, SANDBAR_TOKEN: token, SANDBAR_SHOTS: shots, SANDBAR_SCENE: only = "" } = process.env;
if (!address || !guarded || !token) throw new Error("SANDBAR_PAGE, SANDBAR_GUARDED and SANDBAR_TOKEN are needed");
if (shots) await mkdir(shots, { recursive: true });

/** @param {import("playwright-core").Page} page @param {string} name */
async function shot(page, name) {
  if (!shots) return;
  await page.screenshot({ path: join(shots, `${name}.png`), animations: "disabled" });
  await page.screenshot({ path: join(shots, `${name}-whole.png`), animations: "disabled", fullPage: true });
}

const { browser, end } = await start(process.env.CHROMIUM ?? "/usr/bin/chromium");
try {
  const world = { browser, address, guarded, token, shot };
  for (const [name, scene] of Object.entries({ ...scenes, ...many })) {
    if (!name.includes(only)) continue;
    const began = performance.now();
    await scene(world);
    console.log(`${name}: ${((performance.now() - began) / 1_000).toFixed(1)} s`);
  }
} catch (error) {
  console.error(error);
  const open = browser.contexts().flatMap((context) => context.pages());
  for (const [number, page] of open.entries()) {
    console.error(`page ${number}: ${page.url()}\n${await page.locator("body").innerText().catch(() => "")}`);
    if (shots) await page.screenshot({ path: join(shots, `failed-${number}.png`), fullPage: true }).catch(() => undefined);
  }
  process.exitCode = 1;
} finally {
  await end();
}
