import { FollowedRun } from "./FollowedRun";

/** The run that one follows. */
export function RunPanel({ chosen }: { chosen: string | null }) {
  return (
    <section className={chosen === null ? "panel none" : "panel"} aria-labelledby="panel">
      {chosen === null ? (
        <>
          <h2 id="panel">Follow a run</h2>
          <p className="empty">
            Launch an app, or choose one of the runs: here you see each step as it happens, also when you come late.
          </p>
        </>
      ) : (
        <FollowedRun id={chosen} />
      )}
    </section>
  );
}
