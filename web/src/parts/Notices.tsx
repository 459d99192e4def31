import { usePage } from "../state/hooks";
import { page } from "../state/page";

/** What has just happened and stands nowhere else. */
export function Notices() {
  const notices = usePage((model) => model.notices);
  return (
    <div className="notices" role="region" aria-label="Messages" aria-live="polite">
      {notices.map(({ id, words, bad }) => (
        <p key={id} className={bad ? "notice bad" : "notice"}>
          <span>{words}</span>
          <button type="button" className="plain" onClick={() => page.store.change({ type: "dismissed", id })}>
            Close<span className="unseen"> this message</span>
          </button>
        </p>
      ))}
    </div>
  );
}
