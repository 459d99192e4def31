import { useTicking } from "../state/hooks";
import { countdown } from "../words/duration";

/** What is left until a moment; ears are told the moment, not each second. */
export function Countdown({ until }: { until: string }) {
  const end = Date.parse(until);
  const left = useTicking((now) => countdown(end - now));
  return (
    <time className="countdown" dateTime={until}>
      <span className="unseen">until {new Date(end).toLocaleTimeString()}</span>
      <span aria-hidden="true">{left}</span>
    </time>
  );
}
