import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { client } from "../api/client";
import { createStore } from "../state/store";
import { json, scripted, switchedNetwork } from "./fixture";
import { Poller } from "./poller";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const whole = () => json({ apps: [], pools: [], runs: [], total: 0, logs: [] });

function poll(gateway: ReturnType<typeof scripted>) {
  const [store, network] = [createStore(), switchedNetwork()];
  const around = { client: client({ token: () => null, fetch: gateway.fetch }), store, network, limit: () => 100, random: () => 1 };
  const poller = new Poller(around);
  void poller.run();
  return { store, network, poller };
}

it("looks every two seconds, and at once when it is asked to", async () => {
  const gateway = scripted(whole);
  const { store, poller } = poll(gateway);
  await vi.advanceTimersByTimeAsync(2_100);
  expect(gateway.asked).toHaveLength(8);
  expect(store.get().link.kind).toBe("live");
  poller.soon();
  await vi.advanceTimersByTimeAsync(0);
  expect(gateway.asked).toHaveLength(12);
  poller.end();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(gateway.asked).toHaveLength(12);
});

it("says what is wrong, and waits as long as it is told", async () => {
  const gateway = scripted(() => json({ detail: "too many" }, 429, { "retry-after": "7" }));
  const { store, poller } = poll(gateway);
  await vi.advanceTimersByTimeAsync(6_900);
  expect(store.get().link).toMatchObject({ kind: "waiting", why: "Too many." });
  expect(gateway.asked).toHaveLength(4);
  await vi.advanceTimersByTimeAsync(200);
  expect(gateway.asked).toHaveLength(8);
  poller.end();
});

it("asks for a token where one is needed", async () => {
  const { store, poller } = poll(scripted(() => json({ detail: "send the token" }, 401)));
  await vi.advanceTimersByTimeAsync(100);
  expect(store.get().link).toMatchObject({ kind: "locked", problem: { status: 401 } });
  poller.end();
});

it("comes back with the network", async () => {
  let up = true;
  const polled = poll(scripted(() => (up ? whole() : Promise.reject(new TypeError("offline")))));
  const turn = (on: boolean) => {
    up = on;
    polled.network.set(on);
  };
  turn(false);
  await vi.advanceTimersByTimeAsync(20_000);
  expect(polled.store.get().link.kind).toBe("offline");
  turn(true);
  await vi.advanceTimersByTimeAsync(0);
  expect(polled.store.get().link.kind).toBe("live");
  polled.poller.end();
});
