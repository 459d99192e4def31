/** The server's time, and one tick a second for everything that counts down. */

type Listener = () => void;

let skew = 0;
const listeners = new Set<Listener>();
let timer: ReturnType<typeof setInterval> | undefined;

/** Milliseconds since the epoch, as the gateway would say. */
export function serverNow(): number {
  return Date.now() + skew;
}

/** Takes over what an answer's Date says: whole seconds, so smaller differences are none. */
export function heardDate(date: number, now = Date.now()): void {
  const heard = date + 500 - now;
  if (Math.abs(heard - skew) > 1_000) skew = heard;
}

/** Calls back every second as long as somebody wants it. */
export function onTick(listener: Listener): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => listeners.forEach((each) => each()), 1_000);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}
