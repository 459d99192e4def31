import { type Change, type Model, begin, reduce } from "./model";

export interface Store {
  get: () => Model;
  change: (change: Change) => void;
  subscribe: (listener: () => void) => () => void;
}

/** The one place where what the page knows is kept. */
export function createStore(first: Model = begin): Store {
  let model = first;
  const listeners = new Set<() => void>();
  return {
    get: () => model,
    change: (change) => {
      const next = reduce(model, change);
      if (next === model) return;
      model = next;
      listeners.forEach((listener) => listener());
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
