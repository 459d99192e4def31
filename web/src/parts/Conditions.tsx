import type { Condition } from "../api/types";
import { troubles } from "../words/pools";

/** What the pool says of itself where it is not as one would wish. */
export function Conditions({ conditions }: { conditions: Condition[] }) {
  const told = troubles(conditions);
  if (told.length === 0) return <p className="conditions fine">Nothing to do: every condition is as it should be.</p>;
  return (
    <ul className="conditions" aria-label="Conditions">
      {told.map(({ type, words, detail, tone }) => (
        <li key={type} className={tone}>
          <strong>{words}</strong>
          {detail && <span>{detail}</span>}
        </li>
      ))}
    </ul>
  );
}
