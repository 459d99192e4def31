import { type SyntheticEvent, useId, useState } from "react";
import type { Problem } from "../api/problem";
import { cleaned } from "../api/token";
import { usePage } from "../state/hooks";
import { page } from "../state/page";

interface Props {
  /** Why it is needed, when it is. */
  problem?: Problem;
  done?: () => void;
}

/** Takes the token that one's kubeconfig has, for this tab alone. */
export function Access({ problem, done }: Props) {
  const [pasted, setPasted] = useState("");
  const hasToken = usePage((model) => model.hasToken);
  const [field, hint] = [useId(), useId()];
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    if (cleaned(pasted) === "") return;
    setPasted("");
    page.signIn(pasted);
    done?.();
  };
  return (
    <form className="access" onSubmit={submit}>
      <h2>{problem ? heading(problem, hasToken) : "Use your token"}</h2>
      {problem && <Why problem={problem} hasToken={hasToken} />}
      <label htmlFor={field}>Cluster token</label>
      <input
        id={field}
        type="password"
        autoComplete="off"
        spellCheck={false}
        value={pasted}
        aria-describedby={hint}
        onChange={(event) => setPasted(event.target.value)}
      />
      <p id={hint} className="hint">
        For example from <code>kubectl create token me</code>. It stays in this tab until you close it, and goes to this
        gateway only.
      </p>
      <div className="buttons">
        <button type="submit" className="main" disabled={cleaned(pasted) === ""}>
          Use it
        </button>
        {done && (
          <button type="button" className="plain" onClick={done}>
            Cancel
          </button>
        )}
      </div>
    </form>
  );
}

/** Whoever has given none yet has done nothing wrong. */
function Why({ problem, hasToken }: { problem: Problem; hasToken: boolean }) {
  if (problem.status === 401 && !hasToken) return <p>This gateway answers those whom its cluster knows.</p>;
  return (
    <p role="alert" className="why">
      {problem.message}
    </p>
  );
}

function heading(problem: Problem, hasToken: boolean): string {
  if (problem.status === 403) return "This token opens less than the page shows";
  return hasToken ? "The cluster does not know this token" : "Who is there?";
}
