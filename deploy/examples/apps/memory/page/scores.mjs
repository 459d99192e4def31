// Asks the server for the best scores, and tells it new ones. Addresses are relative: the page may lie below any path.

async function ask(options) {
  try {
    const response = await fetch("api/scores", { signal: AbortSignal.timeout(10_000), ...options });
    const answer = await response.json();
    return response.ok ? answer : { problem: answer.detail };
  } catch {
    return { problem: "The server does not answer: best scores are not shown or saved." };
  }
}

/** The best score of each kind, or `{ problem }` in words for a person. */
export const loadBest = () => ask({});

/** Whether a score is a record, and the best one now; or `{ problem }`. */
export const saveScore = (score) =>
  ask({ method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(score) });
