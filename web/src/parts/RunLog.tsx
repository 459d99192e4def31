import { useEffect, useRef } from "react";
import type { Entry } from "../api/types";
import { took } from "../words/duration";

/** What has happened, each line with the time since the first. */
export function RunLog({ entries }: { entries: readonly Entry[] }) {
  const place = useRef<HTMLDivElement>(null);
  const first = entries[0];
  useEffect(() => {
    place.current?.scrollTo({ top: place.current.scrollHeight });
  }, [entries.length]);
  return (
    <div className="story" role="log" aria-label="What happened" tabIndex={0} ref={place}>
      <ol>
        {entries.map((entry) => (
          <li key={entry.number} className={entry.warning ? "warning" : undefined}>
            <time dateTime={entry.time} title={new Date(entry.time).toLocaleString()}>
              {first && entry !== first ? `+${took(Date.parse(entry.time) - Date.parse(first.time))}` : clock(entry.time)}
            </time>
            <span>
              {entry.warning && <b>Warning: </b>}
              {entry.message}
            </span>
          </li>
        ))}
      </ol>
    </div>
  );
}

function clock(time: string): string {
  return new Date(time).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
}
