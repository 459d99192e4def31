import { expect, it } from "vitest";
import { backoff } from "./backoff";

it("doubles up to half a minute and is never in step", () => {
  const longest = [0, 1, 2, 3, 4, 5, 100].map((failures) => backoff(failures, () => 1));
  expect(longest).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  const shortest = [0, 5].map((failures) => backoff(failures, () => 0));
  expect(shortest).toEqual([500, 15_000]);
});
