// A browser that says what a page must not do: ask other hosts, break its own policy, throw.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

/** The longest wait for anything: many tests may share two cores. */
const PATIENCE = 90_000;
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
];

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {import("playwright-core").BrowserContextOptions} Options */

export const DESKTOP = { viewport: { width: 1280, height: 800 } };
export const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };

/** @param {string} executablePath */
export async function start(executablePath) {
  // Chromium leaves its crash reports in the home folder otherwise.
  const home = await mkdtemp(join(tmpdir(), "sandbar-page-"));
  const env = { ...process.env, HOME: home, XDG_CONFIG_HOME: home, XDG_CACHE_HOME: home };
  const browser = await chromium.launch({ executablePath, args: FLAGS, env });
  return {
    browser,
    end: async () => {
      await browser.close();
      await rm(home, { recursive: true, force: true });
    },
  };
}

/**
 * A visitor of their own, with the page open.
 * @param {import("playwright-core").Browser} browser
 * @param {string} address
 * @param {Options} [options]
 */
export async function visit(browser, address, options = DESKTOP) {
  const context = await browser.newContext({ locale: "en-GB", timezoneId: "UTC", ...options });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  /** @type {string[]} */
  const wrong = [];
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== new URL(address).origin) wrong.push(`it asked ${request.url()}`);
  });
  page.on("pageerror", (error) => wrong.push(`it threw ${error.message}`));
  page.on("console", (message) => {
    // That a request failed is what some of the tests want.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) wrong.push(`it said ${message.text()}`);
  });
  await page.goto(address);
  return { context, page, wrong };
}
