import type { Pool } from "../api/types";
import { took } from "../words/duration";
import { percent, usd } from "../words/money";

/** How well a pool does, and for how much. */
export function Figures({ pool }: { pool: Pool }) {
  const { hit_rate, lead_time_seconds, cost, claims_warm, claims_cold } = pool;
  const claims = claims_warm + claims_cold;
  const found = claims === 0 ? "no claim yet" : `${claims_warm} of ${claims} found one warm`;
  return (
    <dl className="figures">
      <Figure name="Hit rate" value={hit_rate === null ? "–" : percent(hit_rate)} hint={found} />
      <Figure
        name="Lead time"
        value={lead_time_seconds === null ? "–" : lead(lead_time_seconds)}
        hint={lead_time_seconds === null ? "none was claimed yet" : "until a new one is ready"}
      />
      {cost && (
        <>
          <Figure
            name="Cost per hour"
            value={usd(cost.usd_per_hour)}
            hint={cost.spent_usd === undefined ? "all sandboxes together" : `${usd(cost.spent_usd)} so far`}
          />
          <Figure name="Wasted per hour" value={usd(cost.unused_usd_per_hour)} hint="on those nobody holds" />
        </>
      )}
    </dl>
  );
}

/** The API server keeps whole seconds. */
function lead(seconds: number): string {
  return seconds < 1 ? "under 1 s" : took(seconds * 1_000);
}

function Figure({ name, value, hint }: { name: string; value: string; hint: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
      <dd className="hint">{hint}</dd>
    </div>
  );
}
