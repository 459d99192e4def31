import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { client } from "../api/client";
import { json, scripted, switchedNetwork } from "../live/fixture";
import { actions } from "./actions";
import { pressKey } from "./model";
import { createStore } from "./store";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function page(gateway: ReturnType<typeof scripted>) {
  const [store, network, look] = [createStore(), switchedNetwork(), vi.fn()];
  const asked = client({ token: () => null, fetch: gateway.fetch });
  return { store, look, ...actions({ client: asked, store, network, look, random: () => 1 }) };
}

it("launches once, with one key, however often no answer comes", async () => {
  const gateway = scripted(
    () => Promise.reject(new TypeError("reset")),
    () => json({ detail: "it may have been launched" }, 503, { "retry-after": "1" }),
    () => json({ run_id: "run-1", status: "queued" }, 202),
  );
  const { store, look, launch } = page(gateway);
  const launched = launch("snake", "warm");
  await vi.advanceTimersByTimeAsync(500);
  expect(store.get().presses[pressKey("snake", "warm")]).toEqual({ kind: "asking", again: false });
  await vi.advanceTimersByTimeAsync(10_000);
  expect(await launched).toBe("run-1");
  expect(new Set(gateway.asked.map((request) => request.headers.get("idempotency-key"))).size).toBe(1);
  expect(await gateway.asked[2]?.json()).toEqual({ game: "snake", use_snapshot: true });
  expect(store.get().presses).toEqual({});
  expect(look).toHaveBeenCalledTimes(1);
});

it("gives two presses two keys", async () => {
  const gateway = scripted(() => json({ run_id: "run-1", status: "queued" }, 202));
  const { launch } = page(gateway);
  await launch("snake", "warm");
  await launch("snake", "warm");
  expect(new Set(gateway.asked.map((request) => request.headers.get("idempotency-key"))).size).toBe(2);
});

it("says when it may be pressed again", async () => {
  const gateway = scripted(() => json({ detail: "you have launched 25 runs" }, 429, { "retry-after": "12" }));
  const { store, launch } = page(gateway);
  expect(await launch("snake", "cold")).toBeNull();
  expect(gateway.asked).toHaveLength(1);
  const press = store.get().presses[pressKey("snake", "cold")];
  expect(press).toMatchObject({ kind: "refused", until: Date.now() + 12_000, problem: { status: 429 } });
});

it("gives a run that could not be stopped back, and says why", async () => {
  const run = { run_id: "run-1" } as never;
  const refused = page(scripted(() => json({ detail: "you may not delete sandboxes" }, 403)));
  await refused.stop(run);
  expect(refused.store.get().stopping.size).toBe(0);
  expect(refused.store.get().notices[0]).toMatchObject({ bad: true, words: "run-1 was not stopped: You may not delete sandboxes." });
  const done = page(scripted(() => json({ run_id: "run-1", status: "stopping" })));
  await done.stop(run);
  expect([...done.store.get().stopping]).toEqual(["run-1"]);
});
