import type { StreamState } from "../live/stream";
import { useTicking } from "../state/hooks";
import { countdown } from "../words/duration";
import { ending } from "../words/runs";

/** Whether one sees everything that happens, and if not, why. */
export function StreamSays({ state }: { state: StreamState }) {
  const left = useTicking(() => (state.kind === "waiting" ? countdown(state.until - Date.now()) : ""));
  switch (state.kind) {
    case "connecting":
      return <p className="stream">Connecting…</p>;
    case "live":
      return <p className="stream live">Live</p>;
    case "waiting":
      return (
        <p className="stream cut">
          {state.why} <span aria-hidden="true">Back in {left}.</span>
        </p>
      );
    case "refused":
      return (
        <p className="stream cut" role="alert">
          {state.problem.message}
        </p>
      );
    case "ended":
      return <p className="stream">That is all. {ending(state.end.reason, state.end.message)}</p>;
  }
}
