// What is played in the browser, one scene after the other, each by a visitor of their own.
import assert from "node:assert/strict";
import { PHONE, visit } from "./browser.mjs";
import { nobodyIsKeptOut, pressWithKeys } from "./reach.mjs";
import { chosen, fitsItsWidth, launch, panel, play, stop, story } from "./sandbar.mjs";

/**
 * @typedef {object} World
 * @property {import("playwright-core").Browser} browser
 * @property {string} address open to callers without a token
 * @property {string} guarded one that asks who they are
 * @property {string} token
 * @property {(page: import("playwright-core").Page, name: string) => Promise<void>} shot
 */

/** Every game both ways, played to its end. @param {World} world */
export async function gamesAreLaunchedAndPlayed({ browser, address, shot }) {
  const { context, page, wrong } = await visit(browser, address);
  await page.getByRole("button", { name: "Launch warm Snake", exact: true }).waitFor();
  await shot(page, "desktop-start");
  for (const title of ["Memory", "Tic-Tac-Toe", "Snake"]) {
    for (const way of /** @type {const} */ (["cold", "warm"])) {
      await launch(page, title, way);
      await play(page, title);
      if (title === "Tic-Tac-Toe" && way === "cold") await shot(page, "desktop-cold");
      if (title !== "Snake") await stop(page, title);
    }
  }
  await fitsItsWidth(page);
  await nobodyIsKeptOut(page, "by day");
  await shot(page, "desktop-day");
  await page.emulateMedia({ colorScheme: "dark" });
  await nobodyIsKeptOut(page, "by night");
  await shot(page, "desktop-night");
  await page.emulateMedia({ colorScheme: "light" });
  const told = await story(page, "Snake");
  assert.match(told.join("\n"), /Pool acquisition: .*\(pool hit\)/);

  const late = await visit(browser, page.url());
  await late.page.getByRole("log").getByText(/is ready: /).waitFor();
  assert.deepEqual(await story(late.page, "Snake"), told, "who comes late sees the same");
  await stop(page, "Snake");
  await late.page.getByText("That is all. It was stopped.").waitFor();
  await late.page.reload();
  await late.page.getByText("That is all. It was stopped.").waitFor();
  assert.deepEqual((await story(late.page, "Snake")).slice(0, told.length), told, "also after its end");
  assert.deepEqual([...wrong, ...late.wrong], []);
  await context.close();
  await late.context.close();
}

/** The same on a phone, by finger. @param {World} world */
export async function aPhoneIsEnough({ browser, address, shot }) {
  const { context, page, wrong } = await visit(browser, address, PHONE);
  await page.getByRole("button", { name: "Launch warm Snake", exact: true }).waitFor();
  await fitsItsWidth(page);
  await shot(page, "phone-start");
  for (const [title, way] of /** @type {const} */ ([["Memory", "warm"], ["Tic-Tac-Toe", "cold"], ["Snake", "warm"]])) {
    await launch(page, title, way);
    await play(page, title, true);
    await fitsItsWidth(page);
    if (title === "Snake") await shot(page, "phone-run");
    await stop(page, title);
  }
  await page.getByText(/with \d+ that are over/).click();
  await page.getByRole("region", { name: "Runs" }).getByText("Over").first().waitFor();
  await fitsItsWidth(page);
  await page.emulateMedia({ colorScheme: "dark" });
  await shot(page, "phone-night");
  await nobodyIsKeptOut(page, "on a phone");
  assert.deepEqual(wrong, []);
  await context.close();
}

/** What happens without the network is seen when it is back. @param {World} world */
export async function theNetworkGoesAndComes({ browser, address, shot }) {
  const { context, page, wrong } = await visit(browser, address);
  const run = await launch(page, "Snake", "warm");
  const before = await story(page, "Snake");
  await context.setOffline(true);
  await page.getByText("You are offline.").waitFor();
  await panel(page, "Snake").getByText(/^This device is offline\./).waitFor();
  await shot(page, "offline");
  const stopped = await fetch(`${address}/v1/runs/${run}/stop`, { method: "POST" });
  assert.equal(stopped.status, 200);
  await context.setOffline(false);
  await page.getByText("That is all. It was stopped.").waitFor();
  await page.getByText("You are offline.").waitFor({ state: "hidden" });
  const after = await story(page, "Snake");
  assert.deepEqual(after.slice(0, before.length), before, "nothing is told twice");
  assert.deepEqual(wrong, []);
  await context.close();
}

/** An answer that is lost launches nothing twice, and a refusal says when it ends. @param {World} world */
export async function refusalsAndLostAnswers({ browser, address, shot }) {
  const { context, page, wrong } = await visit(browser, address);
  const total = async () => (await (await fetch(`${address}/v1/runs`)).json()).total;
  const before = await total();
  /** @type {string[]} */
  const keys = [];
  await page.route("**/api/launch/warm", async (route) => {
    keys.push(route.request().headers()["idempotency-key"] ?? "none");
    if (keys.length > 1) return route.continue();
    await route.fetch();
    return route.abort("connectionreset");
  });
  await pressWithKeys(page, "Launch warm Memory");
  await panel(page, "Memory").getByRole("log").getByText(/is ready: /).waitFor();
  assert.equal(new Set(keys).size, 1);
  assert.equal(keys.length, 2);
  assert.equal(await total(), before + 1, "one press is one run");
  assert.notEqual(chosen(page), "");
  await stop(page, "Memory");
  await page.unroute("**/api/launch/warm");

  const detail = "you have launched 25 runs within the last hour, which is the limit; try again in 120 s";
  const limited = { status: 429, headers: { "retry-after": "120" }, json: { detail } };
  await page.route("**/api/launch/warm", (route) => route.fulfill(limited));
  const button = page.getByRole("button", { name: "Launch warm Snake", exact: true });
  await button.click();
  await page.getByRole("alert").getByText(/You have launched 25 runs/).waitFor();
  assert.ok(await button.isDisabled());
  await shot(page, "limited");

  await page.route("**/v1/**", (route) => route.fulfill({ status: 503, json: { detail: "the API server is away" } }));
  await page.getByText("The API server is away.").waitFor();
  await shot(page, "waiting");
  await page.unroute("**/v1/**");
  await page.getByText("The API server is away.").waitFor({ state: "hidden" });
  await page.goto(`${address}/#run-that-never-was`);
  await page.getByText("There is no run run-that-never-was; it may have ended more than an hour ago.").waitFor();
  assert.deepEqual(wrong, []);
  await context.close();
}

/** Where callers are asked who they are. @param {World} world */
export async function aTokenStaysInItsTab({ browser, guarded, token, shot }) {
  const { context, page, wrong } = await visit(browser, guarded);
  await page.getByRole("heading", { name: "Who is there?" }).waitFor();
  await shot(page, "locked");
  await nobodyIsKeptOut(page, "at the gate");
  await page.getByLabel("Cluster token").fill("not a token");
  await page.getByRole("button", { name: "Use it" }).click();
  await page.getByRole("heading", { name: "The cluster does not know this token" }).waitFor();
  await page.getByLabel("Cluster token").fill(`Bearer ${token}\n`);
  await page.getByRole("button", { name: "Use it" }).click();
  await launch(page, "Snake", "warm");
  await page.getByRole("article", { name: "Pool games-python" }).getByText("so far").waitFor();
  await page.getByRole("list", { name: "Conditions" }).or(page.getByText("Nothing to do:")).first().waitFor();
  const left = () => panel(page, "Snake").locator("time.countdown").getAttribute("datetime");
  const before = await left();
  await panel(page, "Snake").getByRole("button", { name: "+10 min Snake" }).click();
  await page.getByText("Snake runs 10 minutes longer.").waitFor();
  await page.waitForFunction((before) => document.querySelector(".panel time.countdown")?.getAttribute("datetime") !== before, before);
  assert.equal(Date.parse((await left()) ?? "") - Date.parse(before ?? ""), 600_000);
  await shot(page, "signed-in");
  await page.reload();
  await panel(page, "Snake").getByRole("log").getByText(/is ready: /).waitFor();
  const other = await context.newPage();
  await other.goto(guarded);
  await other.getByRole("heading", { name: "Who is there?" }).waitFor();
  assert.deepEqual(await other.evaluate(() => [document.cookie, localStorage.length]), ["", 0]);
  await stop(page, "Snake");
  await page.getByRole("button", { name: "Forget my token" }).click();
  await page.getByRole("heading", { name: "Who is there?" }).waitFor();
  assert.deepEqual(wrong, []);
  await context.close();
}
