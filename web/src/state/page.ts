import { client } from "../api/client";
import { storeToken, storedToken } from "../api/token";
import { heardDate } from "../live/clock";
import { browserNetwork } from "../live/network";
import { Poller } from "../live/poller";
import { actions } from "./actions";
import { createStore } from "./store";

/** Runs that are listed at first, and when all are wanted: the most that the gateway gives. */
const FIRST = 100;
const ALL = 1_000;

/** Everything that lives as long as the page. */
function open() {
  const store = createStore();
  let wantsAll = false;
  const asked = client({ token: storedToken, onDate: heardDate });
  const poller = new Poller({ client: asked, store, network: browserNetwork, limit: () => (wantsAll ? ALL : FIRST) });
  const look = () => poller.soon();
  const signIn = (token: string | null) => {
    storeToken(token);
    store.change({ type: "token", hasToken: storedToken() !== null });
    look();
  };
  return {
    store,
    client: asked,
    network: browserNetwork,
    look,
    signIn,
    /** The most runs that are shown. */
    mostRuns: ALL,
    showAll: () => {
      wantsAll = true;
      look();
    },
    start: () => {
      store.change({ type: "token", hasToken: storedToken() !== null });
      addEventListener("offline", () => store.change({ type: "link", link: { kind: "offline" } }));
      document.addEventListener("visibilitychange", () => {
        if (document.visibilityState === "visible") look();
      });
      void poller.run();
    },
    ...actions({ client: asked, store, network: browserNetwork, look }),
  };
}

export const page = open();
