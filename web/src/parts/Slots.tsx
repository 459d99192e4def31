import type { Pool } from "../api/types";

/** More than these are a bar instead of stones. */
const STONES = 60;
const KINDS = ["claimed", "warm", "creating", "failed", "free"] as const;

/** Every place of a pool, as stones in the water. */
export function Slots({ pool }: { pool: Pool }) {
  const { ready, creating, claimed, failed, max } = pool;
  const free = Math.max(0, max - ready - creating - claimed - failed);
  const counts = { claimed, warm: ready, creating, failed, free };
  const label = `Of ${max} places: ${ready} warm, ${creating} being made, ${claimed} claimed, ${failed} failed, ${free} free`;
  if (max > STONES) {
    return (
      <div className="slots bar" role="img" aria-label={label}>
        {KINDS.map((kind) => counts[kind] > 0 && <i key={kind} className={kind} style={{ flexGrow: counts[kind] }} />)}
      </div>
    );
  }
  const stones = KINDS.flatMap((kind) => Array<(typeof KINDS)[number]>(counts[kind]).fill(kind));
  return (
    <div className="slots" role="img" aria-label={label}>
      {stones.map((kind, place) => (
        <i key={place} className={kind} />
      ))}
    </div>
  );
}
