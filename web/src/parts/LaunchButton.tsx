import type { App, Way } from "../api/types";
import { choose, usePage, useTicking } from "../state/hooks";
import { pressKey } from "../state/model";
import { page } from "../state/page";
import { countdown } from "../words/duration";

/** A press, and what came of it: an answer, another try, or why not and when again. */
export function LaunchButton({ app, way, main }: { app: App; way: Way; main: boolean }) {
  const press = usePage((model) => model.presses[pressKey(app.name, way)]);
  const until = press?.kind === "refused" ? press.until : null;
  const left = useTicking(() => (until !== null && until > Date.now() ? countdown(until - Date.now()) : ""));
  const asking = press?.kind === "asking";
  const launch = async () => {
    const run = await page.launch(app.name, way);
    if (run !== null) choose(run);
  };
  return (
    <div className="way">
      <button
        type="button"
        className={main ? "main" : "second"}
        disabled={left !== ""}
        aria-busy={asking}
        onClick={() => {
          if (!asking) void launch();
        }}
      >
        {asking ? "Launching…" : `Launch ${way}`}
        <span className="unseen"> {app.title}</span>
      </button>
      {asking && press.again && <p className="told">No answer yet; asking again for the same run.</p>}
      {press?.kind === "refused" && (
        <p className="told bad" role="alert">
          {press.problem.message}
          {left && <span aria-hidden="true"> Again in {left}.</span>}
        </p>
      )}
    </div>
  );
}
