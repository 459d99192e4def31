// How each game is played, by keyboard or by finger, to its end.

/** @typedef {import("playwright-core").Page} Page */

/**
 * Turns twice and runs into a wall, which takes no skill.
 * @param {Page} game
 * @param {boolean} touch
 */
async function snake(game, touch) {
  await game.getByRole("radio", { name: "Fast" }).check();
  await game.getByRole("button", { name: "Play" }).click();
  await game.locator("#curtain").waitFor({ state: "hidden" });
  if (touch) await game.getByRole("button", { name: "Up" }).tap();
  else await game.keyboard.press("ArrowUp");
  await game.getByRole("heading", { name: /Game over|New best!/ }).waitFor();
}

/**
 * Remembers every card.
 * @param {Page} game
 */
async function memory(game) {
  await game.getByRole("radio", { name: "6 pairs" }).check();
  await game.getByText("12 cards, all covered").waitFor();
  const cards = game.getByRole("group", { name: "Cards" }).getByRole("button");
  /** @type {Map<string, number>} */
  const seen = new Map();
  /** @param {number} place */
  const turn = async (place) => {
    await cards.nth(place).click();
    return (await cards.nth(place).getAttribute("aria-label"))?.split(",")[0] ?? "";
  };
  let next = 0;
  for (let found = 0; found < 6; ) {
    const place = next++;
    const first = await turn(place);
    const known = seen.get(first);
    seen.set(first, place);
    if (known !== undefined) {
      await turn(known);
      found++;
      continue;
    }
    const other = next++;
    const second = await turn(other);
    const partner = seen.get(second);
    seen.set(second, other);
    if (second === first) found++;
    else if (partner !== undefined) {
      await turn(other);
      await turn(partner);
      found++;
    }
  }
  await game.getByRole("heading", { name: /Well done!|New best!/ }).waitFor();
}

/**
 * Takes the first free cell until somebody has won.
 * @param {Page} game
 */
async function ticTacToe(game) {
  const free = game.getByRole("group", { name: "Board" }).getByRole("button", { name: "free" });
  const over = game.getByText(/You won!|You lost\.|A draw\./);
  for (;;) {
    await game.getByText("Your turn").or(over).waitFor();
    if (await over.isVisible()) return;
    const left = await free.count();
    await free.first().click();
    await game.waitForFunction((before) => document.querySelectorAll('#board [aria-label$="free"]').length < before, left);
  }
}

/** @type {Record<string, (game: Page, touch: boolean) => Promise<void>>} */
export const PLAY = { Snake: snake, Memory: memory, "Tic-Tac-Toe": ticTacToe };
