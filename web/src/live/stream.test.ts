import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { client } from "../api/client";
import { END, frame, json, scripted, streamed, switchedNetwork } from "./fixture";
import { type StreamState, follow } from "./stream";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function listen(gateway: ReturnType<typeof scripted>, token: string | null = null) {
  const network = switchedNetwork();
  const states: StreamState[] = [];
  const heard: number[] = [];
  const ends = new AbortController();
  const listener = { state: (state: StreamState) => states.push(state), entry: ({ number }: { number: number }) => heard.push(number) };
  const around = { client: client({ token: () => token, fetch: gateway.fetch }), network, random: () => 1 };
  const done = follow("run-1", listener, ends.signal, around);
  return { network, states, heard, ends, done };
}

const kinds = (states: StreamState[]) => states.map(({ kind }) => kind);

describe("follow", () => {
  it("hears everything and the end, however the bytes are cut", async () => {
    const text = `retry: 1000\n: here\n\n${frame(1)}: ping\n\n${frame(2, "é\u2028")}${END}`;
    const bytes = Array.from(text);
    const gateway = scripted(() => streamed(bytes, "stays"));
    const { heard, states, done } = listen(gateway, "secret");
    await done;
    expect(heard).toEqual([1, 2]);
    expect(kinds(states)).toEqual(["connecting", "live", "ended"]);
    expect(gateway.asked[0]?.headers.get("authorization")).toBe("Bearer secret");
    expect(gateway.asked[0]?.headers.has("last-event-id")).toBe(false);
  });

  it("comes back for what is missing, and tells nothing twice", async () => {
    const gateway = scripted(
      () => streamed([frame(1), frame(2)], "breaks"),
      () => streamed([frame(2), frame(3)], "ends"),
      () => streamed([END], "ends"),
    );
    const { heard, states, done } = listen(gateway);
    await vi.advanceTimersByTimeAsync(10_000);
    await done;
    expect(heard).toEqual([1, 2, 3]);
    expect(gateway.asked.map((request) => request.headers.get("last-event-id"))).toEqual([null, "2", "3"]);
    expect(states.at(-1)).toMatchObject({ kind: "ended", end: { reason: "Released" } });
  });

  it("waits longer after every try that fails, and anew after one that worked", async () => {
    const broken = () => json({ detail: "not ready" }, 503);
    const gateway = scripted(broken, broken, () => streamed([frame(1)], "ends"), broken, () => streamed([END], "ends"));
    const { states, done } = listen(gateway);
    const begin = Date.now();
    await vi.advanceTimersByTimeAsync(60_000);
    await done;
    const waits = states.flatMap((state) => (state.kind === "waiting" ? [state.until - begin] : []));
    expect(waits).toEqual([1_000, 3_000, 4_000, 6_000]);
    expect(states.find((state) => state.kind === "waiting")).toMatchObject({ why: "Not ready." });
  });

  it("does not ask again where that cannot help", async () => {
    const gateway = scripted(() => json({ detail: "there is no run run-1" }, 404));
    const { states, done } = listen(gateway);
    await done;
    expect(gateway.asked).toHaveLength(1);
    expect(states.at(-1)).toMatchObject({ kind: "refused", problem: { status: 404, message: "There is no run run-1." } });
  });

  it("lets a silent connection go", async () => {
    const gateway = scripted(({ signal }) => streamed([frame(1)], "stays", signal), () => streamed([END], "ends"));
    const { states, done } = listen(gateway);
    await vi.advanceTimersByTimeAsync(39_000);
    expect(gateway.asked).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(3_000);
    await done;
    expect(gateway.asked[1]?.headers.get("last-event-id")).toBe("1");
    expect(states.at(-1)?.kind).toBe("ended");
  });

  it("waits while there is no network, and comes back with it at once", async () => {
    const gateway = scripted(({ signal }) => streamed([frame(1)], "stays", signal), () => streamed([END], "ends"));
    const { network, states, done } = listen(gateway);
    await vi.advanceTimersByTimeAsync(100);
    network.set(false);
    await vi.advanceTimersByTimeAsync(100);
    expect(states.at(-1)).toMatchObject({ kind: "waiting", why: "This device is offline." });
    network.set(true);
    await vi.advanceTimersByTimeAsync(0);
    await done;
    expect(states.at(-1)?.kind).toBe("ended");
  });

  it("ends with its listener", async () => {
    const gateway = scripted(({ signal }) => streamed([frame(1)], "stays", signal));
    const { ends, heard, states, done } = listen(gateway);
    await vi.advanceTimersByTimeAsync(100);
    ends.abort();
    await done;
    expect(heard).toEqual([1]);
    expect(kinds(states)).toEqual(["connecting", "live"]);
    expect(vi.getTimerCount()).toBe(0);
  });
});
