import { expect, it } from "vitest";
import type { Pool, Run } from "../api/types";
import { type Look, begin, reduce } from "./model";

const run = (run_id: string, status: Run["status"] = "running", ended_at: string | null = null) => ({ run_id, status, ended_at }) as Run;
const pool = (name: string, ready: number) => ({ name, ready, creating: 0, claimed: 0 }) as Pool;
const look = (runs: Run[], pools: Pool[] = []): Look => ({ apps: [], pools, runs, total: runs.length, log: [] });
const looked = (model: typeof begin, of: Look, at = 1) => reduce(model, { type: "looked", look: of, at });

it("keeps what has not changed, so that it is not drawn again", () => {
  const first = looked(begin, look([run("a"), run("b")]));
  const second = looked(first, look([run("a"), run("b", "failed")]));
  expect(second.runs?.[0]).toBe(first.runs?.[0]);
  expect(second.runs?.[1]).not.toBe(first.runs?.[1]);
  const third = looked(second, look([run("a"), run("b", "failed")]));
  expect(third.runs).toBe(second.runs);
  expect(looked(third, look([run("b", "failed"), run("a")])).runs).not.toBe(third.runs);
});

it("forgets that a run is being stopped when it is over", () => {
  const going = looked(begin, look([run("a"), run("b")]));
  const stopping = reduce(reduce(going, { type: "stopping", run: "a", on: true }), { type: "stopping", run: "b", on: true });
  expect([...looked(stopping, look([run("a"), run("b", "ended", "2026-11-22T10:00:00Z")])).stopping]).toEqual(["a"]);
});

it("shows another caller nothing of the last one", () => {
  const before = looked(begin, look([run("a")], [pool("p", 1)]));
  const after = reduce(before, { type: "token", hasToken: true });
  expect(after).toEqual({ ...begin, hasToken: true });
});

it("keeps the level over time, of pools that are there, and two points where nothing changes", () => {
  let model = begin;
  for (let at = 0; at < 10; at++) model = looked(model, look([], [pool("p", 1), pool("q", at)]), at);
  expect(model.samples.p?.map((sample) => sample.at)).toEqual([0, 9]);
  expect(model.samples.q).toHaveLength(10);
  for (let at = 10; at < 2_000; at++) model = looked(model, look([], [pool("q", at)]), at);
  expect(Object.keys(model.samples)).toEqual(["q"]);
  expect(model.samples.q).toHaveLength(900);
});

it("shows the newest notices, until they are closed", () => {
  let model = begin;
  for (let id = 1; id <= 6; id++) model = reduce(model, { type: "notice", notice: { id, words: "w", bad: false } });
  expect(model.notices.map(({ id }) => id)).toEqual([3, 4, 5, 6]);
  expect(reduce(model, { type: "dismissed", id: 4 }).notices.map(({ id }) => id)).toEqual([3, 5, 6]);
});
