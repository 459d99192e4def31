// What keeps people out who use no mouse or see no screen.
import assert from "node:assert/strict";
import axe from "axe-core";

/** @typedef {import("playwright-core").Page} Page */

/** @param {Page} page @param {string} where */
export async function nobodyIsKeptOut(page, where) {
  await settled(page);
  await page.evaluate(axe.source);
  const found = await page.evaluate(async () => {
    // @ts-expect-error: it was put there the line before.
    const { violations } = await globalThis.axe.run();
    return violations.map((/** @type {{id: string, nodes: {html: string, failureSummary: string}[]}} */ { id, nodes }) => ({
      id,
      nodes: nodes.slice(0, 3).map(({ html, failureSummary }) => `${html}\n${failureSummary}`),
    }));
  });
  assert.deepEqual(found, [], where);
}

/**
 * Colours that are on their way from day to night are neither.
 * @param {Page} page
 */
function settled(page) {
  return page.evaluate(async () => {
    await new Promise(requestAnimationFrame);
    const ways = document.getAnimations().filter((animation) => animation instanceof CSSTransition);
    await Promise.allSettled(ways.map(({ finished }) => finished));
  });
}

/**
 * Launches with the keyboard alone: past the header, to the button, and on.
 * @param {Page} page
 * @param {string} name of the button
 */
export async function pressWithKeys(page, name) {
  const button = page.getByRole("button", { name, exact: true });
  await page.evaluate(() => {
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
  });
  await page.keyboard.press("Tab");
  await page.getByRole("button", { name: "Skip to the apps" }).waitFor();
  await page.keyboard.press("Enter");
  for (let steps = 0; steps < 40; steps++) {
    await page.keyboard.press("Tab");
    if (await button.evaluate((element) => element === document.activeElement)) {
      const outline = await button.evaluate((element) => getComputedStyle(element).outlineStyle);
      assert.notEqual(outline, "none", "one sees where one is");
      await page.keyboard.press("Enter");
      return;
    }
  }
  assert.fail(`${name} cannot be reached with Tab`);
}
