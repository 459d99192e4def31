// A thousand runs: whether all are there, and what looking at them and scrolling through them costs.
import assert from "node:assert/strict";
import { visit } from "./browser.mjs";

const [MANY, FEW] = [1_000, 100];
/** Looks that are measured. */
const LOOKS = 9;

/** @typedef {import("playwright-core").Page} Page */

/** @param {number} number @param {number} look */
function run(number, look) {
  const state = number % 10 === 9 ? "launching" : "running";
  // Every look finds some that have changed.
  const touched = number % 50 === look % 50;
  const minute = 60_000;
  return {
    run_id: `run-${String(number).padStart(4, "0")}`,
    status: touched ? "launching" : state,
    app: number % 3 === 0 ? "memory" : "snake",
    pool: "games-python",
    holder: "ada",
    ingress_url: state === "running" ? `http://127.0.0.1:9/open/5000/${number}/x/` : null,
    created_at: new Date(Date.now() - number * 1_000).toISOString(),
    claimed_at: new Date().toISOString(),
    expires_at: new Date(Date.now() - (Date.now() % minute) + (10 + (number % 40)) * minute).toISOString(),
    ended_at: null,
    reason: null,
    message: null,
    queue_position: null,
    start: number % 4 === 0 ? "Cold" : "Warm",
    timings: { acquire_ms: 500 + number, files_ms: 40, install_ms: null, start_ms: 12, answer_ms: 90, total_ms: 642 + number },
  };
}

/**
 * With so many runs, of which every look finds a fiftieth changed.
 * @param {import("playwright-core").Browser} browser
 * @param {string} address
 * @param {number} count
 */
async function withRuns(browser, address, count) {
  const { context, page, wrong } = await visit(browser, "about:blank");
  wrong.length = 0;
  const looks = { seen: 0 };
  await context.route("**/v1/runs?*", async (route) => {
    looks.seen++;
    const limit = Number(new URL(route.request().url()).searchParams.get("limit"));
    const runs = Array.from({ length: Math.min(limit, count) }, (_, number) => run(number, looks.seen));
    await route.fulfill({ json: { runs, total: count } });
  });
  await page.goto(address);
  if (count > FEW) await page.getByRole("button", { name: "Show more" }).click();
  await page.getByText(`${count} going on`).waitFor();
  return { context, page, looks };
}

/**
 * Time that the page's own thread has worked, ms: what the machine does besides is not in it.
 * @param {Page} page
 */
async function worked(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  return async () => {
    const { metrics } = await session.send("Performance.getMetrics");
    return (metrics.find(({ name }) => name === "TaskDuration")?.value ?? Number.NaN) * 1_000;
  };
}

/**
 * What one look and one frame of scrolling cost, ms of the page's thread.
 * @param {Page} page
 * @param {{seen: number}} looks
 */
async function costs(page, looks) {
  const at = await worked(page);
  const before = await at();
  const first = looks.seen;
  for (let look = 0; look < LOOKS; look++) {
    const answered = page.waitForResponse(/v1\/runs\?/);
    // Coming back to the page looks at once.
    await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    await (await answered).finished();
    await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn))));
  }
  const looked = ((await at()) - before) / (looks.seen - first);
  const start = await at();
  const frames = await scroll(page);
  return { look: looked, frame: ((await at()) - start) / frames };
}

/**
 * Scrolls down the runs as fast as a finger throws them; gives the frames.
 * @param {Page} page
 */
function scroll(page) {
  return page.evaluate(async () => {
    const frame = () => new Promise(requestAnimationFrame);
    const runs = document.querySelector(".rows")?.getBoundingClientRect();
    if (!runs) throw new Error("there are no runs");
    const begin = runs.top + scrollY;
    const [far, step] = [Math.min(runs.height - innerHeight, 9_000), 80];
    scrollTo(0, begin);
    await frame();
    for (let down = 0; down < far; down += step) {
      scrollTo(0, begin + down);
      await frame();
    }
    return Math.ceil(far / step);
  });
}

/** A thousand cost no more with every frame than a hundred, and a look little more. @param {import("./scenes.mjs").World} world */
export async function aThousandRunsDoNotStutter({ browser, address, shot }) {
  const few = await withRuns(browser, address, FEW);
  const small = await costs(few.page, few.looks);
  await few.context.close();
  const { context, page, looks } = await withRuns(browser, address, MANY);
  const rows = page.getByRole("region", { name: "Runs" }).getByRole("listitem");
  const drawn = await rows.count();
  assert.ok(drawn < 60, `${drawn} rows are drawn, and a screen has room for twelve`);
  const large = await costs(page, looks);
  console.log("the page's thread works, ms:", JSON.stringify({ few: small, many: large, drawn }));
  await shot(page, "many");
  await page.locator(".stretch").last().scrollIntoViewIfNeeded();
  await page.getByText("run-0999").waitFor();
  // Ten times as many: what grows with them is reading the answer, and that is little.
  assert.ok(large.frame < 3 * small.frame, `a frame takes ${large.frame} ms with ${MANY} runs, ${small.frame} ms with ${FEW}`);
  assert.ok(large.look < 4 * small.look, `a look takes ${large.look} ms with ${MANY} runs, ${small.look} ms with ${FEW}`);
  await context.close();
}
