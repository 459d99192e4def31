// What a person does on the page.
import { PLAY } from "./games.mjs";

/** @typedef {import("playwright-core").Page} Page */

/** @param {Page} page @param {string} title */
export const panel = (page, title) => page.getByRole("region", { name: title, exact: true });

/** @param {Page} page */
export const chosen = (page) => new URL(page.url()).hash.slice(1);

/**
 * Launches an app and waits until it can be opened; gives the run's id.
 * @param {Page} page
 * @param {string} title
 * @param {"warm" | "cold"} way
 */
export async function launch(page, title, way) {
  const before = chosen(page);
  await page.getByRole("button", { name: `Launch ${way} ${title}`, exact: true }).click();
  await page.waitForFunction((before) => location.hash.length > 1 && location.hash.slice(1) !== before, before);
  const shown = panel(page, title);
  await shown.getByText(way === "warm" ? /^Warm start/ : /^Cold start/).waitFor();
  await shown.getByRole("log").getByText(/is ready: /).waitFor();
  await shown.getByRole("link", { name: `Open ${title}` }).waitFor();
  return chosen(page);
}

/**
 * Opens the followed app in a tab of its own and plays it.
 * @param {Page} page
 * @param {string} title
 * @param {boolean} [touch]
 */
export async function play(page, title, touch = false) {
  const opened = page.context().waitForEvent("page");
  await panel(page, title).getByRole("link", { name: `Open ${title}` }).click();
  const game = await opened;
  await game.getByRole("heading", { name: title, level: 1 }).waitFor();
  await PLAY[title]?.(game, touch);
  await game.close();
}

/**
 * Stops the followed run, and waits for its last word.
 * @param {Page} page
 * @param {string} title
 */
export async function stop(page, title) {
  const shown = panel(page, title);
  await shown.getByRole("button", { name: `Stop ${title}` }).click();
  await shown.getByRole("button", { name: `Really stop ${title}` }).click();
  await shown.getByText("That is all. It was stopped.").waitFor();
}

/**
 * Everything that was told of the followed run.
 * @param {Page} page
 * @param {string} title
 */
export const story = (page, title) => panel(page, title).getByRole("log").getByRole("listitem").allTextContents();

/** @param {Page} page */
export async function fitsItsWidth(page) {
  const [wide, room] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  if (wide !== undefined && room !== undefined && wide > room) throw new Error(`the page is ${wide} wide, and there is room for ${room}`);
}
