import { useRef } from "react";
import { usePage } from "../state/hooks";
import { page } from "../state/page";
import { Access } from "./Access";

/** Who one is here, and the way to be somebody else. */
export function AccessButton() {
  const hasToken = usePage((model) => model.hasToken);
  const locked = usePage((model) => model.link.kind === "locked");
  const dialog = useRef<HTMLDialogElement>(null);
  if (hasToken) {
    return (
      <button type="button" className="plain" onClick={() => page.signIn(null)}>
        Forget my token
      </button>
    );
  }
  if (locked) return null;
  return (
    <>
      <button type="button" className="plain" onClick={() => dialog.current?.showModal()}>
        Use a token
      </button>
      <dialog ref={dialog} className="dialog" aria-label="Use a token">
        <Access done={() => dialog.current?.close()} />
      </dialog>
    </>
  );
}
