import { describe, expect, it } from "vitest";
import type { App, Pool } from "../api/types";
import { cleaned } from "../api/token";
import { ago, countdown, took } from "./duration";
import { percent, usd } from "./money";
import { howItIs, tide, troubles, ways } from "./pools";
import { ending, openable, parts, stateOf } from "./runs";

const pool = (fields: Partial<Pool>): Pool =>
  ({ name: "p", target: 2, desired: 2, ready: 2, creating: 0, claimed: 0, failed: 0, total: 2, queued: 0, max: 6, ...fields }) as Pool;

describe("times", () => {
  it("count down like a clock, and never below nothing", () => {
    expect([0, 400, 59_000, 61_000, 3_723_000, -5_000].map(countdown)).toEqual(["0:00", "0:01", "0:59", "1:01", "1:02:03", "0:00"]);
  });

  it("that something took are as exact as people want them", () => {
    expect([0, 582, 1_240, 9_999, 59_600, 60_000, 64_000, 3_600_000, 7_500_000].map(took)).toEqual([
      "0 ms", "582 ms", "1.2 s", "10.0 s", "1 min", "1 min", "1 min 4 s", "1 h", "2 h 5 min",
    ]);
  });

  it("since when are rough", () => {
    expect([0, 40_000, 720_000, 10_900_000].map(ago)).toEqual(["now", "40 s ago", "12 min ago", "3 h ago"]);
  });
});

it("money keeps the digits that say something", () => {
  expect(["0", "0.5", "12", "0.017857142", "0.00046", "0.000001", "x"].map(usd)).toEqual([
    "$0", "$0.50", "$12.00", "$0.018", "$0.0005", "< $0.0001", "x",
  ]);
  expect([0, 0.5, 0.995, 1].map(percent)).toEqual(["0 %", "50 %", "99.5 %", "100 %"]);
});

describe("pools in words", () => {
  it("name the first thing that one should know", () => {
    const said = [
      pool({}),
      pool({ ready: 1, creating: 1 }),
      pool({ ready: 0, total: 6 }),
      pool({ ready: 1 }),
      pool({ queued: 3, total: 6, ready: 0 }),
      pool({ failed: 1 }),
      pool({ target: 0, desired: 0, ready: 0 }),
    ].map((one) => howItIs(one).words);
    expect(said).toEqual([
      "At its level.",
      "1 sandbox is on the way in.",
      "Full: nothing more is made until one is given back.",
      "1 short of the 2 wanted.",
      "3 launches wait for a sandbox and it is full.",
      "1 sandbox failed and will be replaced.",
      "Nothing is kept warm: each launch waits for a sandbox of its own.",
    ]);
  });

  it("make one sentence together", () => {
    expect(tide([pool({}), pool({ ready: 0, creating: 1, claimed: 13 })])).toBe("Two sandboxes are warm, one on the way in, 13 in use.");
    expect(tide([pool({ ready: 0 })])).toBe("No sandbox is warm.");
  });

  it("tell only conditions that are not as wished", () => {
    const condition = (type: string, status: string) => ({ type, status, reason: "R", message: "why", lastTransitionTime: "" });
    const all = [condition("Available", "True"), condition("Degraded", "True"), condition("ProviderReachable", "Unknown"), condition("New", "False")];
    expect(troubles(all).map(({ type, words }) => [type, words])).toEqual([
      ["Degraded", "A person is needed"],
      ["ProviderReachable", "Not known now: ProviderReachable"],
    ]);
  });

  it("launch warm where a level is held and cold where none is", () => {
    const app = { name: "snake", pools: ["warm", "cold"] } as App;
    const [warm, cold] = [pool({ name: "warm" }), pool({ name: "cold", target: 0 })];
    expect(ways(app, [warm, cold])).toEqual(["warm", "cold"]);
    expect(ways(app, [cold, pool({ name: "other" })])).toEqual(["cold"]);
    expect(ways(app, [])).toEqual([]);
  });
});

describe("runs in words", () => {
  it("say their place in the queue", () => {
    expect(stateOf({ status: "queued", queue_position: 3 }).word).toBe("Waiting, place 3");
    expect(stateOf({ status: "running", queue_position: null }).word).toBe("Running");
  });

  it("say why they are over", () => {
    expect([ending("Expired", "m"), ending("Odd", "words"), ending("Odd", null), ending(null, null)]).toEqual([
      "Its time was over.", "words", "It ended: Odd.", "It is over.",
    ]);
  });

  it("are opened by links of the web alone", () => {
    expect(openable("http://127.0.0.1:1/open/5000/1/x/")).not.toBeNull();
    expect(openable("/open/x/")).toBe("/open/x/");
    expect([openable("javascript:alert(1)"), openable("data:text/html,x"), openable(null)]).toEqual([null, null, null]);
  });

  it("show the steps that took time", () => {
    const timings = { acquire_ms: 582, files_ms: null, install_ms: null, start_ms: 0, answer_ms: 40, total_ms: 700 };
    expect(parts({ timings }).map(({ name }) => name)).toEqual(["sandbox", "start", "first answer"]);
  });
});

it("a pasted token loses what a terminal put around it", () => {
  expect(cleaned(" Bearer abc\n def \n")).toBe("abcdef");
});
