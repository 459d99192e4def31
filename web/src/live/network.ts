/** The browser's word on the network. It may be wrong when it says yes, hardly ever when it says no. */
export interface Network {
  isUp(): boolean;
  /** Calls back when it goes up or down; the answer ends that. */
  watch(changed: () => void): () => void;
}

export const browserNetwork: Network = {
  isUp: () => navigator.onLine,
  watch: (changed) => {
    addEventListener("online", changed);
    addEventListener("offline", changed);
    return () => {
      removeEventListener("online", changed);
      removeEventListener("offline", changed);
    };
  },
};

/** Resolves after so long, when the network comes back, or when it is told to stop. */
export function pause(ms: number, signal: AbortSignal, network: Network): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const done = () => {
      clearTimeout(timer);
      unwatch();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    const unwatch = network.watch(() => {
      if (network.isUp()) done();
    });
    signal.addEventListener("abort", done);
  });
}
