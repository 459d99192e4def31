import { useEffect, useReducer } from "react";
import type { Entry } from "../api/types";
import { type StreamState, follow } from "../live/stream";
import { page } from "./page";

export interface Followed {
  state: StreamState;
  entries: readonly Entry[];
}

type Heard = { type: "begin" } | { type: "state"; state: StreamState } | { type: "entry"; entry: Entry };

const NOTHING: Followed = { state: { kind: "connecting" }, entries: [] };

function hear(followed: Followed, heard: Heard): Followed {
  switch (heard.type) {
    case "begin":
      return NOTHING;
    case "state":
      return { ...followed, state: heard.state };
    case "entry":
      return { ...followed, entries: [...followed.entries, heard.entry] };
  }
}

/** Follows a run as long as somebody looks at it. */
export function useStream(run: string): Followed {
  const [followed, dispatch] = useReducer(hear, NOTHING);
  useEffect(() => {
    const ends = new AbortController();
    dispatch({ type: "begin" });
    const listener = {
      state: (state: StreamState) => {
        if (ends.signal.aborted) return;
        dispatch({ type: "state", state });
        if (state.kind === "ended") page.look();
      },
      entry: (entry: Entry) => {
        if (ends.signal.aborted) return;
        dispatch({ type: "entry", entry });
        // What has happened shows in the lists, too.
        page.look();
      },
    };
    void follow(run, listener, ends.signal, page);
    return () => ends.abort();
  }, [run]);
  return followed;
}
