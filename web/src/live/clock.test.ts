import { expect, it, vi } from "vitest";
import { heardDate, onTick, serverNow } from "./clock";

it("follows the server where this device's clock is wrong, and not for less than it can tell", () => {
  const now = Date.now();
  heardDate(now + 400, now);
  expect(Math.abs(serverNow() - now)).toBeLessThan(300);
  heardDate(now - 3_600_000, now);
  expect(serverNow() - now).toBeLessThan(-3_598_000);
  heardDate(now, now);
  expect(Math.abs(serverNow() - now)).toBeLessThan(1_000);
});

it("ticks only for those who listen", () => {
  vi.useFakeTimers();
  const tick = vi.fn();
  const end = onTick(tick);
  vi.advanceTimersByTime(3_000);
  end();
  vi.advanceTimersByTime(3_000);
  expect(tick).toHaveBeenCalledTimes(3);
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});
