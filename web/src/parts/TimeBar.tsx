import type { Run } from "../api/types";
import { took } from "../words/duration";
import { parts } from "../words/runs";

/** No part is too short to be seen. */
const LEAST = 0.006;

/** Where the time of a launch went: why one takes longer than another. */
export function TimeBar({ run }: { run: Run }) {
  const all = parts(run);
  const whole = all.reduce((sum, { ms }) => sum + ms, 0);
  if (all.length === 0) return null;
  return (
    <figure className="times">
      <figcaption>
        Where the time went
        {run.timings.total_ms !== null && <strong> {took(run.timings.total_ms)}</strong>}
      </figcaption>
      <div className="times-bar" aria-hidden="true">
        {all.map(({ name, ms }) => (
          <span key={name} data-part={name} style={{ flexGrow: Math.max(ms / Math.max(whole, 1), LEAST) }} />
        ))}
      </div>
      <dl>
        {all.map(({ name, ms }) => (
          <div key={name} data-part={name}>
            <dt>{name}</dt>
            <dd>{took(ms)}</dd>
          </div>
        ))}
      </dl>
    </figure>
  );
}
