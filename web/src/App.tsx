import { Access } from "./parts/Access";
import { Launch } from "./parts/Launch";
import { LinkBar } from "./parts/LinkBar";
import { Masthead } from "./parts/Masthead";
import { Notices } from "./parts/Notices";
import { Pools } from "./parts/Pools";
import { RecentLog } from "./parts/RecentLog";
import { RunPanel } from "./parts/RunPanel";
import { Runs } from "./parts/Runs";
import { useChosen, usePage } from "./state/hooks";

export function App() {
  const link = usePage((model) => model.link);
  const chosen = useChosen();
  return (
    <>
      <button type="button" className="skip" onClick={() => document.getElementById("main")?.focus()}>
        Skip to the apps
      </button>
      <Masthead />
      <LinkBar />
      {link.kind === "locked" ? (
        <main id="main" className="gate" tabIndex={-1}>
          <Access problem={link.problem} />
        </main>
      ) : (
        <main id="main" className="beach" tabIndex={-1}>
          <Launch />
          <RunPanel key={chosen ?? ""} chosen={chosen} />
          <Runs />
          <Pools />
          <RecentLog />
        </main>
      )}
      <footer className="foot">
        <p>
          Sandbar keeps cloud sandboxes level. <a href="/licenses.txt">What others have made</a>
        </p>
      </footer>
      <Notices />
    </>
  );
}
