import { usePage, useTicking } from "../state/hooks";
import { page } from "../state/page";
import { countdown } from "../words/duration";

/** What stands between the page and the gateway; nothing while all is well. */
export function LinkBar() {
  const link = usePage((model) => model.link);
  const known = usePage((model) => model.pools !== null);
  const left = useTicking(() => (link.kind === "waiting" ? countdown(link.until - Date.now()) : ""));
  const old = known ? " What you see is from before." : "";
  return (
    <div className="linkbar" role="status">
      {link.kind === "offline" && (
        <p>
          <strong>You are offline.</strong>
          {old} It goes on by itself when the network is back.
        </p>
      )}
      {link.kind === "waiting" && (
        <p>
          <strong>{link.why}</strong>
          {old} <span aria-hidden="true">Next try in {left}.</span>{" "}
          <button type="button" className="plain" onClick={page.look}>
            Try now
          </button>
        </p>
      )}
    </div>
  );
}
