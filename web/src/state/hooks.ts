import { useSyncExternalStore } from "react";
import { onTick, serverNow } from "../live/clock";
import type { Model } from "./model";
import { page } from "./page";

/** A part of what the page knows; drawn anew when that part changes. */
export function usePage<T>(part: (model: Model) => T): T {
  return useSyncExternalStore(page.store.subscribe, () => part(page.store.get()));
}

/** Words that depend on the time; drawn anew when the words change. */
export function useTicking(words: (now: number) => string): string {
  return useSyncExternalStore(onTick, () => words(serverNow()));
}

/** The run that the address names, which makes it a link to pass on. */
export function useChosen(): string | null {
  return useSyncExternalStore(onHash, chosen);
}

function onHash(listener: () => void): () => void {
  addEventListener("hashchange", listener);
  return () => removeEventListener("hashchange", listener);
}

function chosen(): string | null {
  const id = location.hash.slice(1);
  return /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(id) ? id : null;
}

export function choose(run: string): void {
  location.hash = run;
}
